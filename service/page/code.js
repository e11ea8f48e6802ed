/** The curl and Python lines that do what the page did. */

import { address, hasKey } from "./api.js";

const KEY = "DEEPLAB_KEY";
const SUFFIX = { overlay: "-overlay.jpg", mask: "-mask.png", segments: ".json" };

/**
 * @typedef {object} Done what was done
 * @property {"overlay"|"mask"|"segments"} answer
 * @property {string} file name of the picture
 * @property {Object<string, string>} parameters of the call, in the URL
 */

/** @param {Done} done */
export function curl({ answer, file, parameters }) {
  const header = hasKey() ? [`-H "X-API-Key: $${KEY}"`] : [];
  const words = ["curl --fail", ...header, "-F", word(`file=@${formFile(file)}`)];
  const url = word(address(`v1/${answer}`, parameters).href);
  return `${words.join(" ")} \\\n  ${url} \\\n  -o ${word(output(answer, file))}`;
}

/** @param {Done} done */
export function python({ answer, file, parameters }) {
  const entries = Object.entries(parameters).map(([name, value]) => `${text(name)}: ${text(value)}`);
  const lines = [
    ...(hasKey() ? ["import os", ""] : []),
    "import httpx",
    "",
    `with open(${text(file)}, "rb") as picture:`,
    "    answer = httpx.post(",
    `        ${text(address(`v1/${answer}`).href)},`,
    `        params={${entries.join(", ")}},`,
    ...(hasKey() ? [`        headers={"X-API-Key": os.environ["${KEY}"]},`] : []),
    '        files={"file": picture},',
    "        timeout=60,",
    "    )",
    "answer.raise_for_status()",
    `with open(${text(output(answer, file))}, "wb") as out:`,
    "    out.write(answer.content)",
  ];
  return lines.join("\n");
}

/** Class names for `classes=`, or ids where a name could be read otherwise. */
export function classWords(ids, labels) {
  const folded = labels.map((label) => label.toLowerCase());
  const plain = (id) =>
    !/^\d*$|,|^\s|\s$/.test(labels[id]) && folded.filter((name) => name === folded[id]).length === 1;
  return ids.map((id) => (plain(id) ? labels[id] : String(id))).join(",");
}

/** What an answer is saved as. */
export function output(answer, file) {
  return stem(file) + SUFFIX[answer];
}

/** A file's name without its ending. */
export function stem(file) {
  return file.replace(/(?<=.)\.[^.]*$/, "");
}

/** A shell word, in quotes where it needs them. */
function word(value) {
  return /^[\w@%+=:,./-]+$/.test(value) ? value : `'${value.replaceAll("'", `'\\''`)}'`;
}

/** A file's name as curl's -F wants it. */
function formFile(name) {
  return /^[\w.-]+$/.test(name) ? name : `"${name.replace(/["\\]/g, "\\$&")}"`;
}

/** A Python string: JSON's are valid there. */
function text(value) {
  return JSON.stringify(value);
}
