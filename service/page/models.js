/** Which models there are, which one is chosen, and what it says of itself. */

import { Problem, call } from "./api.js";

const find = (id) => document.getElementById(id);
const preferred = document.body.dataset.model;

export class Models {
  #all = [];
  #select = find("model");

  /** @param {() => void} changed called when another model is chosen */
  constructor(changed) {
    this.#select.addEventListener("change", () => {
      this.#describe();
      changed();
    });
  }

  /** The chosen model as `/v1/models` describes it; undefined before they are known. */
  get chosen() {
    return this.#all[Number(this.#select.value)];
  }

  /** What a call must say to get the chosen model. */
  get parameters() {
    const { name, version } = this.chosen;
    return this.#isNewest(this.chosen) ? { model: name } : { model: name, version };
  }

  /**
   * Ask the service; what was chosen before stays chosen.
   *
   * @throws {Problem} it has none, or does not answer
   */
  async load() {
    const { model, version } = this.chosen ? this.parameters : { model: preferred };
    const { models } = await (await call("v1/models")).json();
    if (!models.length) throw new Problem(503, "No model", "The service has no model loaded.");
    this.#all = models;
    const wanted = models.findIndex(
      (one) => one.name === model && (version ? one.version === version : this.#isNewest(one)),
    );
    this.#select.replaceChildren(...models.map((one, index) => new Option(this.#title(one), index)));
    this.#select.value = Math.max(0, wanted);
    find("chooser").hidden = models.length < 2;
    this.#describe();
  }

  /** Versions of a model are listed newest first. */
  #isNewest(model) {
    return this.#all.find((one) => one.name === model.name) === model;
  }

  #title(model) {
    return this.#isNewest(model) ? model.name : `${model.name}, version ${model.version}`;
  }

  #describe() {
    const model = this.chosen;
    find("licence").textContent = model.licence;
    find("facts").replaceChildren(...facts(model).flatMap(([name, value]) => pair(name, value)));
    const { width, height } = model.buckets.reduce((a, b) => (area(a) < area(b) ? b : a));
    find("model-size").textContent = `The model itself looks at ${width} × ${height} at most.`;
    find("about").hidden = false;
  }
}

function area({ width, height }) {
  return width * height;
}

function facts(model) {
  const { metric, value, data, published } = model.quality;
  const measured = value === null ? null : `${value.toFixed(3)} ${metric} (${data})`;
  return [
    ["Model", `${model.name}, version ${model.version}`],
    ["Quality", [measured, published].filter(Boolean).join("; ") || "not measured"],
    ["Trained on", model.training_data],
    ["Network", `DeepLab on ${model.backbone}, output stride ${model.output_stride}`],
    ["Runs on", model.provider],
  ];
}

function pair(name, value) {
  const term = Object.assign(document.createElement("dt"), { textContent: name });
  return [term, Object.assign(document.createElement("dd"), { textContent: value })];
}
