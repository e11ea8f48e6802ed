/** Where pictures come from: file chooser, drop, paste, sample, camera. */

import { draw, encode } from "./photo.js";

const find = (id) => document.getElementById(id);

/** @param {(file: File) => void} take called with each picture */
export function listen(take) {
  const refuse = () => take(null);
  for (const input of [find("file"), find("capture")]) {
    input.addEventListener("change", () => {
      if (input.files.length) take(input.files[0]);
      input.value = "";
    });
  }
  find("choose").addEventListener("click", () => find("file").click());
  find("camera").addEventListener("click", () => photograph(take));
  for (const button of document.querySelectorAll("[data-sample]")) {
    button.addEventListener("click", async () => take(await sample(button.dataset.sample)));
  }
  document.addEventListener("paste", (event) => {
    const [file] = event.clipboardData.files;
    if (file) take(file);
  });
  listenForDrops((files) => (files.length ? take(files[0]) : refuse()));
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
  const answer = await fetch(path);
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
