/** Markdown without its code, which begins and ends with equally many backticks. @source CommonMark 0.31, 6.1 */
export const withoutCode = (markdown: string): string => markdown.replace(/(?<!`)(`+)(?!`).*?(?<!`)\1(?!`)/gs, "");
