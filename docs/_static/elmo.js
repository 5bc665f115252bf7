// ELMo's forward pass for the page "play": one sentence, as keras-elmo computes it.
//
// docs/play/__init__.py writes the weights: whole numbers of 8 bits, and a factor for each
// column. A test compares the values with those of the Keras layer.
"use strict";

const WORD = "[\\p{L}\\p{N}\\p{M}\\u200c\\u200d]";
const MARK = "[\\p{M}\\u200c\\u200d]";
// Runs of the same mark, such as "...", are one token.
const RUNS = Array.from({ length: 128 }, (_, code) => String.fromCharCode(code))
  .filter((character) => !/[a-z0-9\s\x1c-\x1f]/i.test(character))
  .map((mark) => `\\x${mark.charCodeAt(0).toString(16).padStart(2, "0")}+`)
  .join("|");
const SPACE = "\\t-\\r\\x1c-\\x1f \\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000";
const TOKEN = new RegExp(`${WORD}+(?:['\\u2019]${WORD}+)*|(?:${RUNS}|[^${SPACE}])${MARK}*`, "gu");
const BEGIN_SENTENCE = 256, END_SENTENCE = 257, BEGIN_WORD = 258, END_WORD = 259, PADDING = 260;

const sigmoid = (x) => 1 / (1 + Math.exp(-x));

// y += x * W[first:], where W (rows, columns) is flat: four rows at once, which is faster.
function addProduct(y, x, W, first = 0) {
  const columns = y.length;
  let i = 0, row = first * columns;
  for (; i + 4 <= x.length; i += 4, row += 4 * columns) {
    const a = x[i], b = x[i + 1], c = x[i + 2], d = x[i + 3];
    const second = row + columns, third = second + columns, fourth = third + columns;
    for (let j = 0; j < columns; j++)
      y[j] += a * W[row + j] + b * W[second + j] + c * W[third + j] + d * W[fourth + j];
  }
  for (; i < x.length; i++, row += columns)
    for (let j = 0; j < columns; j++) y[j] += x[i] * W[row + j];
  return y;
}

const affine = (x, W, bias) => addProduct(bias.slice(), x, W);

class Elmo {
  static files = {};

  // A header, and arrays by name: {shape, data}. Vectors are float32, all else is quantized.
  static read([header, text]) {
    const binary = atob(text), bytes = new Uint8Array(binary.length);
    for (let i = 0; i < bytes.length; i++) bytes[i] = binary.charCodeAt(i);
    const arrays = {};
    let offset = 0;
    const floats = (n) => new Float32Array(bytes.slice(offset, (offset += 4 * n)).buffer);
    for (const [name, shape] of Object.entries(header.arrays)) {
      const size = shape.reduce((a, b) => a * b), columns = shape.at(-1);
      if (shape.length === 1) {
        arrays[name] = floats(size);
        continue;
      }
      const numbers = new Int8Array(bytes.buffer, offset, size);
      offset += size;
      const scale = floats(columns);
      const array = (arrays[name] = new Float32Array(size));
      for (let i = 0; i < size; i++) array[i] = numbers[i] * scale[i % columns];
    }
    return { ...header, arrays };
  }

  // The tokens of a text, as keras_elmo.tokenize has them, with where they start.
  static tokenize(text) {
    return Array.from(text.matchAll(TOKEN), ({ 0: token, index }) => ({ token, index }));
  }

  constructor({ config, arrays }) {
    this.lstm = config.lstm;
    this.cnn = config.char_cnn;
    this.arrays = arrays;
    this.cache = new Map(); // token vectors
  }

  // The character ids of a token without the padding that changes nothing, counted from 0.
  characters(token) {
    const longest = this.cnn.max_characters_per_token;
    const inside = typeof token === "string" ? new TextEncoder().encode(token) : [token];
    const ids = [BEGIN_WORD, ...inside.slice(0, longest - 2), END_WORD];
    const widest = Math.max(...this.cnn.filters.map(([width]) => width));
    const length = Math.min(longest, ids.length + widest);
    return [...ids, ...Array(length - ids.length).fill(PADDING)];
  }

  // The context-free vector (projection_dim,) of a token.
  tokenVector(token) {
    if (!this.cache.has(token)) this.cache.set(token, this.encode(this.characters(token)));
    return this.cache.get(token);
  }

  encode(characters) {
    const w = this.arrays, dim = this.cnn.embedding.dim;
    const embedded = new Float32Array(characters.length * dim);
    characters.forEach((id, i) =>
      embedded.set(w.char_embed.subarray(id * dim, (id + 1) * dim), i * dim));
    const pieces = this.cnn.filters.flatMap(([width, count], k) => {
      const highest = new Float32Array(count).fill(-Infinity);
      for (let start = 0; start + width <= characters.length; start++) {
        const window = embedded.subarray(start * dim, (start + width) * dim);
        const values = affine(window, w[`CNN/W_cnn_${k}`], w[`CNN/b_cnn_${k}`]);
        values.forEach((value, n) => (highest[n] = Math.max(highest[n], value)));
      }
      const isRelu = this.cnn.activation === "relu";
      return Array.from(highest, isRelu ? (x) => Math.max(x, 0) : Math.tanh);
    });
    let x = Float32Array.from(pieces);
    for (let k = 0; k < this.cnn.n_highway; k++) {
      const name = `CNN_high_${k}`;
      const carry = affine(x, w[`${name}/W_carry`], w[`${name}/b_carry`]).map(sigmoid);
      const other = affine(x, w[`${name}/W_transform`], w[`${name}/b_transform`]);
      x = x.map((old, i) => carry[i] * Math.max(other[i], 0) + (1 - carry[i]) * old);
    }
    return w["CNN_proj/W_proj"] ? affine(x, w["CNN_proj/W_proj"], w["CNN_proj/b_proj"]) : x;
  }

  // One LSTM over vectors (time, projection_dim), in the order in which it reads them.
  run(inputs, layer, direction) {
    const { dim, projection_dim, cell_clip, proj_clip } = this.lstm;
    const name = `RNN_${direction}/RNN/MultiRNNCell/Cell${layer}/LSTMCell/`;
    const kernel = this.arrays[name + "W_0"], bias = this.arrays[name + "B"];
    const projection = this.arrays[name + "W_P_0"];
    const clip = (x, limit) => (limit ? Math.min(Math.max(x, -limit), limit) : x);
    const c = new Float32Array(dim);
    let h = new Float32Array(projection_dim);
    return inputs.map((x) => {
      const gates = affine(x, kernel, bias); // i, j, f, o
      addProduct(gates, h, kernel, x.length);
      let output = new Float32Array(dim);
      for (let n = 0; n < dim; n++) {
        const i = gates[n], j = gates[dim + n], f = gates[2 * dim + n], o = gates[3 * dim + n];
        c[n] = clip(sigmoid(f + 1) * c[n] + sigmoid(i) * Math.tanh(j), cell_clip);
        output[n] = sigmoid(o) * Math.tanh(c[n]);
      }
      if (projection) {
        output = addProduct(new Float32Array(projection_dim), output, projection);
        output = output.map((value) => clip(value, proj_clip));
      }
      return (h = output);
    });
  }

  // The layers (n_layers + 1, time, 2 * projection_dim) of the tokens of a sentence.
  layers(tokens) {
    const vectors = [BEGIN_SENTENCE, ...tokens, END_SENTENCE].map((t) => this.tokenVector(t));
    const directions = [vectors, vectors.toReversed()];
    const joined = (forward, backward) =>
      forward.map((x, i) => Float32Array.of(...x, ...backward[i])).slice(1, -1);
    const outputs = [joined(vectors, vectors)];
    for (let layer = 0; layer < this.lstm.n_layers; layer++) {
      for (const d of [0, 1]) {
        const inputs = directions[d];
        directions[d] = this.run(inputs, layer, d);
        if (this.lstm.use_skip_connections && layer > 0)
          directions[d] = directions[d].map((x, t) => x.map((value, n) => value + inputs[t][n]));
      }
      outputs.push(joined(directions[0], directions[1].toReversed()));
    }
    return outputs;
  }
}
