/**
 * Sorts a table by the column whose title is pressed, and hides jobs that lack the words in the field above them. The page
 * is whole without it.
 */
export const SCRIPT = `
for(const table of document.querySelectorAll("table")){const body=table.tBodies[0];
table.querySelectorAll("thead th").forEach((head,column)=>{const button=document.createElement("button");button.type="button";button.textContent=head.textContent;head.textContent="";head.append(button);
button.addEventListener("click",()=>{const up=head.getAttribute("aria-sort")!=="ascending";for(const other of table.querySelectorAll("thead th"))other.removeAttribute("aria-sort");head.setAttribute("aria-sort",up?"ascending":"descending");
const number=head.classList.contains("n");const key=row=>{const cell=row.cells[column];const by=cell?cell.dataset.by??cell.textContent:"";if(!number)return by;const value=parseFloat(by);return Number.isNaN(value)?null:value};
const rows=[...body.rows].map(row=>[key(row),row]);rows.sort(([a],[b])=>number?(a===null||b===null?(a===null)-(b===null):(a-b||0)*(up?1:-1)):a.localeCompare(b)*(up?1:-1));body.append(...rows.map(([,row])=>row))})})}
for(const field of document.querySelectorAll("input[type=search]")){field.hidden=false;const all=[...document.querySelectorAll("#"+field.dataset.of+" .row")];
field.addEventListener("input",()=>{const words=field.value.toLowerCase().split(/\\s+/).filter(Boolean);for(const one of all){const text=one.textContent.toLowerCase();one.hidden=!words.every(word=>text.includes(word))}})}
addEventListener("beforeprint",()=>{for(const one of document.querySelectorAll("details"))one.open=true});
`.trim();
