/** The page: one picture at a time, from its source to its overlay. */

import { Problem, call, stagesOf } from "./api.js";
import { ClassList, percent } from "./classes.js";
import * as code from "./code.js";
import { Mask } from "./mask.js";
import { Models } from "./models.js";
import { clear, complain, entitle, say, setBusy } from "./notice.js";
import * as photo from "./photo.js";
import { decodeMask } from "./png.js";
import { listen } from "./sources.js";
import { Stage } from "./stage.js";
import { duration, showTiming } from "./timing.js";

const find = (id) => document.getElementById(id);
const maxBytes = Number(document.body.dataset.maxBytes);
const stage = new Stage();
const classes = new ClassList(() => {
  stage.repaint(classes.hidden);
  writeCode();
});
const models = new Models(() => segment());

/** The picture that was taken last. */
let file = null;
/** What is on the page: the picture as shown and as sent, its mask, and the mask's own file. */
let shown = null;
let running = new AbortController();

function take(taken) {
  file = taken;
  segment();
}

/** Send the picture and show what comes back, unless another one overtakes it. */
async function segment() {
  running.abort();
  running = new AbortController();
  const { signal } = running;
  clear();
  setBusy(true);
  try {
    if (file) await answer(file, signal);
    else await models.load();
  } catch (error) {
    if (signal.aborted) return;
    complain(error, segment, file?.name);
  }
  if (!signal.aborted) setBusy(false);
}

async function answer(picture, signal) {
  say(`Reading ${picture.name} …`);
  await readable(picture);
  // A model may have been replaced since, with other classes.
  let [image] = await Promise.all([photo.open(picture), models.load()]);
  const scaled = image && find("scale").checked && photo.isLarge(image, picture.size, maxBytes);
  const sent = scaled ? await photo.shrink(image, maxBytes) : picture;
  if (signal.aborted) return photo.close(image);
  say(`Waiting for the answer to ${picture.name} …`);
  const started = performance.now();
  const reply = await call("v1/mask", { parameters: models.parameters, body: sent, signal });
  const bytes = await reply.arrayBuffer();
  const total = performance.now() - started;
  const mask = new Mask(await decodeMask(bytes), models.chosen);
  image ??= await drawnByTheService(sent, signal);
  if (signal.aborted) return photo.close(image);
  photo.close(shown?.image);
  // Another model's mask of the same picture is compared at the same place.
  if (shown?.picture !== picture) stage.fit();
  shown = { picture, name: picture.name, image, mask, sent, bytes, scaled, parameters: models.parameters };
  show(stagesOf(reply), total);
}

/** @throws {Problem} it is a folder, or was taken away */
async function readable(picture) {
  try {
    const reader = picture.stream().getReader();
    await reader.read();
    await reader.cancel();
  } catch {
    throw new Problem(400, "Not read", `${picture.name} cannot be read. Is it a folder?`);
  }
}

/** A picture in a format that the browser cannot show, such as TIFF. */
async function drawnByTheService(sent, signal) {
  const parameters = { ...models.parameters, alpha: 0 };
  const reply = await call("v1/overlay", { parameters, body: sent, accept: "image/png", signal });
  return photo.open(await reply.blob());
}

function show(stages, total) {
  const { image, mask, name, scaled } = shown;
  document.body.classList.add("has-result");
  entitle(name);
  find("result").hidden = false;
  classes.fill(mask);
  stage.show(image, mask, classes.hidden);
  showTiming(stages, total);
  const size = `${image.naturalWidth} × ${image.naturalHeight}`;
  const smaller = `Scaled down to ${mask.width} × ${mask.height} before it was sent: the mask and the JSON have that size.`;
  find("size").textContent = `${name}, ${size}. ${scaled ? smaller : ""}`;
  const [most] = mask.classes;
  const count = `${mask.classes.length} ${mask.classes.length === 1 ? "class" : "classes"}`;
  say(`${count} in ${duration(total)}, most of it ${most.name} (${percent(most.share)}).`);
  writeCode();
}

function writeCode() {
  if (!shown) return;
  const { name, parameters, mask } = shown;
  const answer = document.querySelector("[name=answer]:checked").value;
  const more = {};
  if (answer === "overlay") {
    more.alpha = String(find("alpha").value / 100);
    const visible = mask.classes.map(({ id }) => id).filter((id) => !classes.hidden.has(id));
    if (classes.hidden.size) more.classes = code.classWords(visible, mask.model.labels);
  } else if (answer === "segments") {
    more.geometry = "polygons";
  }
  const done = { answer, file: name, parameters: { ...parameters, ...more } };
  find("curl").textContent = code.curl(done);
  find("python").textContent = code.python(done);
}

const makers = {
  mask: async () => [new Blob([shown.bytes], { type: "image/png" }), "-mask.png"],
  json: async () => {
    const parameters = { ...shown.parameters, geometry: "polygons" };
    return [await (await call("v1/segments", { parameters, body: shown.sent })).blob(), ".json"];
  },
  jpeg: () => overlay("image/jpeg", "-overlay.jpg"),
  png: () => overlay("image/png", "-overlay.png"),
};

async function overlay(type, ending) {
  const alpha = find("alpha").value / 100;
  return [await photo.compose(shown.image, stage.painted, alpha, type), ending];
}

async function save(kind) {
  const name = code.stem(shown.name);
  clear();
  setBusy(true);
  try {
    const [blob, ending] = await makers[kind]();
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = name + ending;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
    say(`Saved ${link.download}.`);
  } catch (error) {
    complain(error, () => save(kind));
  }
  setBusy(false);
}

async function copy(button) {
  const lines = find(button.dataset.copy);
  getSelection().selectAllChildren(lines);
  // Over plain HTTP from another machine there is no clipboard but this old way.
  if (navigator.clipboard) await navigator.clipboard.writeText(lines.textContent);
  else document.execCommand("copy");
  button.textContent = "Copied";
  say("Copied.");
  setTimeout(() => (button.textContent = "Copy"), 2000);
}

function slide() {
  const [alpha, wipe] = [Number(find("alpha").value), Number(find("wipe").value)];
  stage.setAlpha(alpha / 100);
  stage.setWipe(wipe);
  find("alpha-value").textContent = `${alpha} %`;
  find("wipe-value").textContent = wipe ? `${wipe} %` : "off";
  writeCode();
}

for (const id of ["alpha", "wipe"]) find(id).addEventListener("input", slide);
stage.onWipe = (percent) => {
  find("wipe").value = percent;
  slide();
};
find("answers").addEventListener("change", writeCode);
for (const button of document.querySelectorAll("[data-save]")) {
  button.addEventListener("click", () => save(button.dataset.save));
}
for (const button of document.querySelectorAll("[data-copy]")) {
  button.addEventListener("click", () => copy(button));
}
listen(take, (error) => complain(error, segment));
slide();
segment();
