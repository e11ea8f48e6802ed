/** How long an answer took, stage by stage. */

const find = (id) => document.getElementById(id);

/**
 * @param {[string, number][]} stages names and milliseconds, as the service measured them
 * @param {number} total milliseconds as the browser saw them
 */
export function showTiming(stages, total) {
  const known = stages.reduce((sum, [, ms]) => sum + ms, 0);
  const all = [...stages, ["network", Math.max(0, total - known)]];
  find("total").textContent = duration(total);
  find("bar").replaceChildren(
    ...all.map(([name, ms]) => {
      const piece = document.createElement("span");
      piece.dataset.stage = name;
      piece.style.flexGrow = ms;
      return piece;
    }),
  );
  find("stages").replaceChildren(
    ...all.map(([name, ms]) => {
      const item = document.createElement("li");
      item.dataset.stage = name;
      item.textContent = `${name} ${duration(ms)}`;
      return item;
    }),
  );
}

/** Milliseconds for people. */
export function duration(ms) {
  if (ms >= 1000) return `${(ms / 1000).toFixed(2)} s`;
  return `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`;
}
