// Points on a canvas by WebGL: pan, zoom, hover, lasso. It knows numbers only.

const VERTEX = `
attribute vec2 place; attribute float value; attribute float state;
uniform vec2 scale, shift; uniform float size;
varying float v; varying float s;
void main() {
  gl_Position = vec4(place * scale + shift, 0.0, 1.0);
  gl_PointSize = state > 1.5 ? size * 2.0 + 5.0 : state > 1.1 ? size * 1.4 + 4.0 : size;
  v = value; s = state;
}`;
const FRAGMENT = `
precision mediump float;
uniform vec3 low, middle, high, ring; uniform float alpha;
varying float v; varying float s;
void main() {
  float d = length(gl_PointCoord - 0.5);
  if (d > 0.5) discard;
  vec3 colour = v < 0.0 ? mix(middle, low, -v) : mix(middle, high, v);
  float edge = smoothstep(0.5, 0.40, d);
  if (s > 1.1 && d > 0.33) colour = ring;
  float a = (s < 0.5 ? 0.10 : s > 1.1 ? 1.0 : alpha) * edge;
  gl_FragColor = vec4(colour * a, a);
}`;

/** @typedef {{x: Float32Array, y: Float32Array}} Places */

/**
 * @param {HTMLCanvasElement} canvas
 * @param {{hover: (row: number) => void, choose: (row: number) => void, lasso: (rows: number[]) => void}} tell
 */
export function scatter(canvas, tell) {
  const gl = canvas.getContext("webgl", { antialias: false, premultipliedAlpha: true });
  if (!gl) throw new Error("This browser has no WebGL, so there is no map; the table below has everybody.");
  const program = built(gl);
  const at = (/** @type {string} */ name) => gl.getUniformLocation(program, name);
  const [places, values, states] = ["place", "value", "state"].map((name, k) => {
    const buffer = gl.createBuffer();
    const slot = gl.getAttribLocation(program, name);
    gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
    gl.enableVertexAttribArray(slot);
    gl.vertexAttribPointer(slot, k ? 1 : 2, gl.FLOAT, false, 0, 0);
    return buffer;
  });
  let n = 0;
  /** Places within -1 to 1, alternating x and y. */
  let held = new Float32Array(0);
  let view = { zoom: 1, x: 0, y: 0 };
  let index = /** @type {ReturnType<typeof grid> | null} */ (null);
  let colours = theme();
  let wanted = 0;
  /** @type {[number, number][] | null} */
  let path = null;

  const put = (/** @type {WebGLBuffer | null | undefined} */ buffer, /** @type {Float32Array} */ data) => {
    gl.bindBuffer(gl.ARRAY_BUFFER, buffer ?? null);
    gl.bufferData(gl.ARRAY_BUFFER, data, gl.STATIC_DRAW);
    draw();
  };
  const scaleOf = () => [0.98 * view.zoom, 0.98 * view.zoom];
  const paint = () => {
    wanted = 0;
    const ratio = window.devicePixelRatio || 1;
    const [width, height] = [Math.round(canvas.clientWidth * ratio), Math.round(canvas.clientHeight * ratio)];
    if (canvas.width !== width || canvas.height !== height) { canvas.width = width; canvas.height = height; }
    gl.viewport(0, 0, width, height);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT);
    if (!n) return;
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
    gl.useProgram(program);
    const [sx, sy] = scaleOf();
    gl.uniform2f(at("scale"), /** @type {number} */ (sx), /** @type {number} */ (sy));
    gl.uniform2f(at("shift"), view.x, view.y);
    gl.uniform1f(at("size"), Math.max(2, Math.min(16, (n > 20000 ? 3 : n > 2000 ? 5 : n > 500 ? 8 : 11) * Math.sqrt(view.zoom))) * ratio);
    gl.uniform1f(at("alpha"), n > 20000 ? 0.5 : 0.85);
    for (const [name, colour] of Object.entries(colours)) gl.uniform3f(at(name), colour[0], colour[1], colour[2]);
    gl.drawArrays(gl.POINTS, 0, settled ? n : Math.min(n, most));
    if (!settled) adapt();
  };
  const draw = () => { wanted ||= requestAnimationFrame(paint); };
  /** Points drawn while the map moves: fewer where frames come late, as without a graphics processor. */
  let most = 100000;
  let settled = true;
  let resting = 0;
  /** By how long the next frame takes, not by the time between inputs: those may be slow themselves. */
  const adapt = () => {
    const drawn = performance.now();
    requestAnimationFrame(() => {
      const took = performance.now() - drawn;
      most = Math.max(4000, Math.min(400000, most, n) * (took > 34 ? Math.max(0.25, 34 / took) : 1.1));
      clearTimeout(resting);
      resting = window.setTimeout(() => { settled = true; draw(); }, 160);
    });
  };
  const move = () => {
    settled = false;
    clearTimeout(resting);
    draw();
  };

  /** Where a pointer is, in places. @param {MouseEvent} event @returns {[number, number]} */
  const placeOf = (event) => {
    const box = canvas.getBoundingClientRect();
    const [sx, sy] = scaleOf();
    const [cx, cy] = [(2 * (event.clientX - box.left)) / box.width - 1, 1 - (2 * (event.clientY - box.top)) / box.height];
    return [(cx - view.x) / /** @type {number} */ (sx), (cy - view.y) / /** @type {number} */ (sy)];
  };
  /** @param {MouseEvent} event */
  const rowAt = (event) => {
    if (!index) return -1;
    const [sx] = scaleOf();
    return index.nearest(...placeOf(event), (20 / canvas.clientWidth) / /** @type {number} */ (sx));
  };
  /** @param {number} factor @param {number} [cx] @param {number} [cy] */
  const zoom = (factor, cx = 0, cy = 0) => {
    const next = Math.max(0.8, Math.min(400, view.zoom * factor));
    const by = next / view.zoom;
    view = { zoom: next, x: cx + (view.x - cx) * by, y: cy + (view.y - cy) * by };
    move();
  };

  /** @type {{id: number, x: number, y: number, moved: boolean, lasso: boolean} | null} */
  let drag = null;
  let lassoMode = false;
  canvas.addEventListener("pointerdown", (event) => {
    drag = { id: event.pointerId, x: event.clientX, y: event.clientY, moved: false, lasso: lassoMode || event.shiftKey };
    path = drag.lasso ? [placeOf(event)] : null;
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!drag) { tell.hover(rowAt(event)); return; }
    const [dx, dy] = [event.clientX - drag.x, event.clientY - drag.y];
    drag.moved ||= Math.hypot(dx, dy) > 3;
    if (!drag.moved) return;
    if (path) { path.push(placeOf(event)); canvas.dispatchEvent(new CustomEvent("lasso", { detail: path.map(onScreen) })); return; }
    view = { ...view, x: view.x + (2 * dx) / canvas.clientWidth, y: view.y - (2 * dy) / canvas.clientHeight };
    [drag.x, drag.y] = [event.clientX, event.clientY];
    move();
  });
  canvas.addEventListener("pointerup", (event) => {
    if (drag && !drag.moved) { const row = rowAt(event); if (row >= 0) tell.choose(row); }
    else if (path && path.length > 2) tell.lasso(within(held, n, path));
    canvas.dispatchEvent(new CustomEvent("lasso", { detail: [] }));
    drag = path = null;
  });
  canvas.addEventListener("pointerleave", () => tell.hover(-1));
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    const box = canvas.getBoundingClientRect();
    zoom(Math.exp(-event.deltaY * 0.0015), (2 * (event.clientX - box.left)) / box.width - 1, 1 - (2 * (event.clientY - box.top)) / box.height);
  }, { passive: false });
  canvas.addEventListener("keydown", (event) => {
    /** @type {Record<string, () => void>} */
    const keys = {
      "+": () => zoom(1.3), "=": () => zoom(1.3), "-": () => zoom(1 / 1.3), "0": () => { view = { zoom: 1, x: 0, y: 0 }; draw(); },
      ArrowLeft: () => { view.x += 0.1; draw(); }, ArrowRight: () => { view.x -= 0.1; draw(); }, ArrowUp: () => { view.y -= 0.1; draw(); }, ArrowDown: () => { view.y += 0.1; draw(); },
    };
    const act = keys[event.key];
    if (act) { event.preventDefault(); act(); }
  });
  /** @param {[number, number]} place @returns {[number, number]} */
  const onScreen = ([x, y]) => {
    const [sx, sy] = scaleOf();
    return [((x * /** @type {number} */ (sx) + view.x + 1) / 2) * canvas.clientWidth, ((1 - y * /** @type {number} */ (sy) - view.y) / 2) * canvas.clientHeight];
  };

  return {
    draw,
    zoom,
    /** @param {boolean} on */
    setLasso: (on) => { lassoMode = on; },
    reset: () => { view = { zoom: 1, x: 0, y: 0 }; draw(); },
    themed: () => { colours = theme(); draw(); },
    /** @param {Places} data */
    setPlaces: ({ x, y }) => {
      n = x.length;
      held = squared(x, y);
      index = grid(held, n);
      put(places, held);
    },
    /** @param {Float32Array} data -1 to 1 */
    setValues: (data) => put(values, data),
    /** @param {Float32Array} data 0: faint, 1: shown, 1.25: ringed, 2: ringed and large */
    setStates: (data) => put(states, data),
    /** @param {number} row */
    screen: (row) => onScreen([held[2 * row] ?? 0, held[2 * row + 1] ?? 0]),
    /** @param {number} row */
    lookAt: (row) => {
      view = { zoom: Math.max(view.zoom, 3), x: 0, y: 0 };
      const [sx, sy] = scaleOf();
      view.x = -(held[2 * row] ?? 0) * /** @type {number} */ (sx);
      view.y = -(held[2 * row + 1] ?? 0) * /** @type {number} */ (sy);
      draw();
    },
  };
}

/** @param {WebGLRenderingContext} gl */
function built(gl) {
  const program = gl.createProgram();
  for (const [kind, text] of /** @type {[number, string][]} */ ([[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]])) {
    const shader = /** @type {WebGLShader} */ (gl.createShader(kind));
    gl.shaderSource(shader, text);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
  }
  gl.linkProgram(program);
  gl.useProgram(program);
  return program;
}

/**
 * Colours of the theme as 0 to 1.
 * @returns {Record<string, [number, number, number]>}
 */
function theme() {
  const style = getComputedStyle(document.documentElement);
  const of = (/** @type {string} */ name) => {
    const text = style.getPropertyValue(name).trim();
    return /** @type {[number, number, number]} */ ([1, 3, 5].map((k) => parseInt(text.slice(k, k + 2), 16) / 255));
  };
  return { low: of("--less"), middle: of("--middle"), high: of("--more"), ring: of("--ink") };
}

/** Both axes in one unit, the middle of 98 % of the points within -1 to 1. @param {Float32Array} x @param {Float32Array} y */
function squared(x, y) {
  const spans = [x, y].map((one) => {
    const sorted = Float32Array.from(one).sort();
    const end = (/** @type {number} */ q) => sorted[Math.min(sorted.length - 1, Math.max(0, Math.round(q * (sorted.length - 1))))] ?? 0;
    return [end(0.01), end(0.99)];
  });
  const half = spans.map(([low, high]) => Math.max((/** @type {number} */ (high) - /** @type {number} */ (low)) / 2, 1e-6));
  const out = new Float32Array(2 * x.length);
  for (let k = 0; k < x.length; k += 1) {
    for (const [axis, data] of /** @type {[number, Float32Array][]} */ ([[0, x], [1, y]])) {
      const [low, high] = /** @type {[number, number]} */ (spans[axis]);
      out[2 * k + axis] = ((/** @type {number} */ (data[k]) - (low + high) / 2) / /** @type {number} */ (half[axis])) * 0.86;
    }
  }
  return out;
}

/** A grid over the places, to find the nearest one. @param {Float32Array} held @param {number} n */
function grid(held, n) {
  const side = Math.max(8, Math.min(256, Math.round(Math.sqrt(n / 3))));
  const cell = (/** @type {number} */ value) => Math.max(0, Math.min(side - 1, Math.floor(((value + 1.2) / 2.4) * side)));
  const starts = new Uint32Array(side * side + 1);
  for (let k = 0; k < n; k += 1) starts[cell(held[2 * k] ?? 0) + side * cell(held[2 * k + 1] ?? 0) + 1] = (starts[cell(held[2 * k] ?? 0) + side * cell(held[2 * k + 1] ?? 0) + 1] ?? 0) + 1;
  for (let k = 0; k < side * side; k += 1) starts[k + 1] = (starts[k + 1] ?? 0) + (starts[k] ?? 0);
  const next = starts.slice();
  const rows = new Uint32Array(n);
  for (let k = 0; k < n; k += 1) {
    const c = cell(held[2 * k] ?? 0) + side * cell(held[2 * k + 1] ?? 0);
    rows[next[c] ?? 0] = k;
    next[c] = (next[c] ?? 0) + 1;
  }
  return {
    /** @param {number} x @param {number} y @param {number} reach */
    nearest(x, y, reach) {
      let [best, least] = [-1, reach * reach];
      for (let cy = cell(y - reach); cy <= cell(y + reach); cy += 1) {
        for (let cx = cell(x - reach); cx <= cell(x + reach); cx += 1) {
          const c = cx + side * cy;
          for (let place = starts[c] ?? 0; place < (starts[c + 1] ?? 0); place += 1) {
            const row = rows[place] ?? 0;
            const d = ((held[2 * row] ?? 0) - x) ** 2 + ((held[2 * row + 1] ?? 0) - y) ** 2;
            if (d < least) [best, least] = [row, d];
          }
        }
      }
      return best;
    },
  };
}

/** The points within a closed line. @param {Float32Array} held @param {number} n @param {[number, number][]} path */
function within(held, n, path) {
  const [xs, ys] = [path.map((one) => one[0]), path.map((one) => one[1])];
  const [left, right, bottom, top] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  const rows = [];
  for (let k = 0; k < n; k += 1) {
    const [x, y] = [held[2 * k] ?? 0, held[2 * k + 1] ?? 0];
    if (x < left || x > right || y < bottom || y > top) continue;
    let inside = false;
    for (let a = 0, b = path.length - 1; a < path.length; b = a, a += 1) {
      const [xa, ya, xb, yb] = [xs[a] ?? 0, ys[a] ?? 0, xs[b] ?? 0, ys[b] ?? 0];
      if (ya > y !== yb > y && x < ((xb - xa) * (y - ya)) / (yb - ya) + xa) inside = !inside;
    }
    if (inside) rows.push(k);
  }
  return rows;
}
