import { describe, expect, test } from "bun:test";
import { findCredentials } from "../../../../src/sandboxes/modal/credentials.ts";

const FILE = `
# written by modal setup
[work]
token_id = "ak-work"   # a comment
token_secret = "as-\\"work#1"
active = true

[default]
token_id = 'ak-home'
token_secret = 'as-home'
`;

const find = (env: Record<string, string>, files: Record<string, string> = {}) =>
  findCredentials({ HOME: "/home/ada", ...env }, (path) => files[path] ?? null);
const home = { "/home/ada/.modal.toml": FILE };

describe("Modal credentials", () => {
  test("come from the environment variables first", () => {
    expect(find({ MODAL_TOKEN_ID: "ak-1", MODAL_TOKEN_SECRET: "as-1" }, home)).toEqual({
      kind: "found",
      credentials: {
        kind: "token",
        tokenId: "ak-1",
        tokenSecret: "as-1",
        source: "MODAL_TOKEN_ID and MODAL_TOKEN_SECRET",
      },
    });
  });

  test("come from the active profile of the file, wherever it is", () => {
    const work = {
      kind: "token",
      tokenId: "ak-work",
      tokenSecret: 'as-"work#1',
      source: 'profile "work" of /home/ada/.modal.toml',
    } as const;
    expect(find({}, home)).toEqual({ kind: "found", credentials: work });
    expect(find({ MODAL_CONFIG_PATH: "/etc/modal.toml" }, { "/etc/modal.toml": FILE })).toMatchObject({
      credentials: { tokenId: "ak-work", source: 'profile "work" of /etc/modal.toml' },
    });
  });

  test("come from the profile that MODAL_PROFILE names, or from the default one when none is active", () => {
    expect(find({ MODAL_PROFILE: "default" }, home)).toMatchObject({ credentials: { tokenId: "ak-home" } });
    expect(find({}, { "/home/ada/.modal.toml": FILE.replace("active = true", "") })).toMatchObject({
      credentials: { tokenId: "ak-home" },
    });
    expect(find({ MODAL_PROFILE: "none" }, home)).toMatchObject({
      kind: "unusable",
      message: expect.stringContaining('"none"'),
    });
  });

  test("come with the environment and image builder of their profile, active or not; variables go first", () => {
    const dev = {
      "/home/ada/.modal.toml": `${FILE.replace("active = true", "")}environment = "dev"\nimage_builder_version = "2025.06"`,
    };
    const settings = { environment: "dev", imageBuilderVersion: "2025.06" };
    expect(find({}, dev)).toMatchObject({ credentials: { tokenId: "ak-home", settings } });
    expect(find({ MODAL_TOKEN_ID: "ak-1", MODAL_TOKEN_SECRET: "as-1" }, dev)).toMatchObject({
      credentials: { settings },
    });
    expect(find({ MODAL_ENVIRONMENT: "prod" }, dev)).toMatchObject({
      credentials: { settings: { ...settings, environment: "prod" } },
    });
    expect(find({ MODAL_OAUTH_REFRESH_TOKEN: "r", MODAL_ENVIRONMENT: "prod" })).toMatchObject({
      credentials: { kind: "oauth", settings: { environment: "prod" } },
    });
  });

  test("of OAuth are left to the SDK", () => {
    expect(find({ MODAL_OAUTH_REFRESH_TOKEN: "r" })).toMatchObject({ kind: "found", credentials: { kind: "oauth" } });
  });

  test("that are missing, incomplete or in a broken file get different messages", () => {
    expect(find({})).toMatchObject({ kind: "missing", message: expect.stringContaining("modal setup") });
    expect(find({ MODAL_TOKEN_ID: "ak-1" })).toMatchObject({
      kind: "unusable",
      message: expect.stringContaining("the secret is missing"),
    });
    expect(find({}, { "/home/ada/.modal.toml": "[work\ntoken_id = 1" })).toMatchObject({ kind: "unusable" });
    expect(find({ MODAL_TOKEN_ID: "a", MODAL_TOKEN_SECRET: "b" }, { "/home/ada/.modal.toml": "[work" })).toMatchObject({
      kind: "found",
    });
  });

  test("are taken without the white space around them, as files with Windows line ends have it", () => {
    for (const end of ["\r", "\r\n", " ", "\u00a0", "\ufeff"]) {
      expect(find({ MODAL_TOKEN_ID: `ak-1${end}`, MODAL_TOKEN_SECRET: ` as-1${end}` })).toMatchObject({
        credentials: { tokenId: "ak-1", tokenSecret: "as-1" },
      });
      expect(find({ MODAL_TOKEN_ID: end, MODAL_TOKEN_SECRET: end })).toMatchObject({ kind: "missing" });
    }
  });

  test("with characters that cannot be sent are unusable, and are named but not shown", () => {
    for (const garbled of ["as-SE\rCRET", "as-SE\nCRET", "\u201cas-SECRET\u201d", "as-SECRET\u200b", "as SECRET"]) {
      const found = find({ MODAL_TOKEN_ID: "ak-1", MODAL_TOKEN_SECRET: garbled }, home);
      expect(found).toMatchObject({ kind: "unusable", message: expect.stringMatching(/^MODAL_TOKEN_SECRET has char/) });
      expect(JSON.stringify(found)).not.toMatch(/SE.?.?CRET/);
    }
    const file = { "/home/ada/.modal.toml": FILE.replace("ak-work", "ak\u00e9work") };
    expect(find({}, file)).toMatchObject({
      kind: "unusable",
      message: expect.stringMatching(/^token_id in profile "work" of \/home\/ada\/.modal.toml has char/),
    });
  });

  test("are not confused by profile names with a meaning in JavaScript", () => {
    expect(find({ MODAL_PROFILE: "constructor" }, home)).toMatchObject({ kind: "unusable" });
    const file = { "/home/ada/.modal.toml": '[__proto__]\ntoken_id = "x"\ntoken_secret = "y"' };
    expect(find({ MODAL_PROFILE: "__proto__" }, file)).toMatchObject({ credentials: { tokenId: "x" } });
    expect(find({}, file)).toMatchObject({ kind: "missing" });
  });
});

describe("the file of modal setup", () => {
  const inFile = (text: string) => find({ MODAL_PROFILE: "a b" }, { "/home/ada/.modal.toml": text });

  test("may have quoted profile names, values of other kinds, comments and Windows line ends", () => {
    const text =
      'version = 2\r\n["a b"] # mine\r\nn = 12\r\nlist = [1]\r\nat = 2026-01-01\r\ntoken_id = "x"\r\ntoken_secret = "y"\r\n';
    expect(inFile(text)).toMatchObject({ credentials: { tokenId: "x", tokenSecret: "y" } });
  });

  test("is named in the message when it is not TOML", () => {
    for (const text of ["<html>", '["a b"]\nb', '["a b"]\nb = "unclosed', "[[a b]]"])
      expect(inFile(text)).toEqual({
        kind: "unusable",
        message: '/home/ada/.modal.toml is not a file that "modal setup" writes. Run "modal setup" again.',
      });
  });
});
