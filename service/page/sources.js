/** Where pictures come from: file chooser, drop, paste, sample, camera. */

import { Problem, call } from "./api.js";
import { draw, encode } from "./photo.js";

const NO_FILE = "What was dropped is no file. Save the picture first, and drop that.";

const find = (id) => document.getElementById(id);

/**
 * @param {(file: File) => void} take called with each picture
 * @param {(error: Error) => void} refuse called where there is none
 */
export function listen(take, refuse) {
  for (const input of [find("file"), find("capture")]) {
    input.addEventListener("change", () => {
      if (input.files.length) take(input.files[0]);
      input.value = "";
    });
  }
  find("choose").addEventListener("click", () => find("file").click());
  find("camera").addEventListener("click", () => photograph(take));
  for (const button of document.querySelectorAll("[data-sample]")) {
    button.addEventListener("click", () => sample(button.dataset.sample).then(take, refuse));
  }
  document.addEventListener("paste", (event) => {
    const [file] = event.clipboardData.files;
    if (file) take(file);
  });
  listenForDrops(([file]) => (file ? take(file) : refuse(new Problem(400, "No picture", NO_FILE))));
}

function listenForDrops(drop) {
  const mark = (on) => document.body.classList.toggle("dragging", on);
  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    mark(true);
  });
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) mark(false);
  });
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    mark(false);
    drop(event.dataTransfer.files);
  });
}

async function sample(path) {
  const answer = await call(path);
  return new File([await answer.blob()], path.split("/").pop(), { type: "image/jpeg" });
}

/** A picture from the camera: a viewfinder, or the phone's own camera where that is all there is. */
async function photograph(take) {
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
  } catch {
    // None, not allowed, or not over plain HTTP.
    find("capture").click();
    return;
  }
  const dialog = find("viewfinder");
  const video = dialog.querySelector("video");
  video.srcObject = stream;
  dialog.showModal();
  dialog.onclick = (event) => event.target.value && dialog.close(event.target.value);
  dialog.onclose = async () => {
    const file = dialog.returnValue === "take" ? await frame(video) : null;
    dialog.returnValue = "";
    for (const track of stream.getTracks()) track.stop();
    video.srcObject = null;
    if (file) take(file);
  };
}

async function frame(video) {
  const canvas = document.createElement("canvas");
  const context = draw(video, canvas, video.videoWidth, video.videoHeight);
  return new File([await encode(context.canvas, "image/jpeg")], "camera.jpg", { type: "image/jpeg" });
}
