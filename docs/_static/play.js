// The page "play": a typed sentence through mini, and the words closest to one of its words.
"use strict";

const SHOWN = 8; // entries of a list
const WIDTH = 400, HEIGHT = 260, MARGIN = 24, RING = 12; // of the map

const part = (id) => document.getElementById(`play-${id}`);
const percent = (share) => `${Math.round(100 * share)}%`;
const sameWord = (a, b) => a.toLowerCase() === b.toLowerCase();

function element(tag, properties, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

function shape(tag, attributes, text = "") {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.textContent = text;
  return made;
}

// The sentences, and the vectors of their words.
class Corpus {
  constructor(header) {
    Object.assign(this, header);
    this.words = Object.keys(this.shares); // those with several senses
    this.sentences = this.sentences.map(([text, template, sense]) => ({
      text, template, sense, tokens: Elmo.tokenize(text),
    }));
    const places = this.arrays.places;
    this.rows = Array.from({ length: places.length / 2 }, (_, row) => {
      const sentence = this.sentences[places[2 * row]];
      return { row, sentence, ...sentence.tokens[places[2 * row + 1]] };
    });
    this.counts = {};
    for (const { tokens } of this.sentences)
      for (const { token } of tokens) this.counts[token] = (this.counts[token] ?? 0) + 1;
  }

  get size() {
    return this.arrays["maps/mean"].length / this.words.length;
  }

  // A vector in the directions of a space, "context" or "static", of length 1.
  inside(space, vector) {
    const mean = this.arrays[`${space}/mean`];
    const centered = vector.map((value, i) => value - mean[i]);
    const found = new Float32Array(this.size);
    addProduct(found, centered, this.arrays[`${space}/directions`]);
    const length = Math.hypot(...found) || 1;
    return found.map((value) => value / length);
  }

  vector(space, row) {
    return this.arrays[space].subarray(row * this.size, (row + 1) * this.size);
  }

  // Those of the items {row} that are closest to a vector, with their cosines.
  ranked(space, items, vector) {
    const cosine = ({ row }) =>
      this.vector(space, row).reduce((sum, value, i) => sum + value * vector[i], 0);
    const found = items.map((item) => ({ ...item, cosine: cosine(item) }));
    return found.sort((a, b) => b.cosine - a.cosine);
  }

  // Occurrences closest to a vector, one for each key: by default of each template, whose
  // sentences are alike.
  nearest(items, vector, text, key = ({ sentence }) => sentence.template) {
    const seen = new Set();
    return this.ranked("context", items, vector).filter((item) =>
      item.sentence.text !== text && !seen.has(key(item)) && seen.add(key(item)));
  }

  // The occurrences of a word that have a sense.
  withSense(word) {
    return this.rows.filter(({ token, sentence }) =>
      token === word && this.senses[sentence.sense]?.[0] === word);
  }

  // The numbers of a word's senses, in the order of their colors.
  sensesOf(word) {
    return this.senses.flatMap(([owner], i) => (owner === word ? [i] : []));
  }

  // The place of a vector on a word's map, (x, y) before it is scaled.
  place(word, vector) {
    const k = this.words.indexOf(word), size = this.size;
    const mean = this.arrays["maps/mean"].subarray(k * size, (k + 1) * size);
    const centered = vector.map((value, i) => value - mean[i]);
    return addProduct(new Float32Array(2), centered, this.arrays["maps/directions"], k * size);
  }
}

class Page {
  constructor(model, corpus) {
    Object.assign(this, { model, corpus, word: "", trail: [], mapped: "" });
    let timer;
    part("text").addEventListener("input", () => {
      clearTimeout(timer);
      timer = setTimeout(() => this.read(), 150);
    });
    part("others").addEventListener("change", () => this.showWord());
    part("words").addEventListener("change", ({ target }) => {
      this.chosen = Number(target.value);
      this.showWord();
    });
    for (const button of part("picks").querySelectorAll("button")) {
      button.addEventListener("click", () => {
        part("text").value = button.textContent;
        this.read();
      });
    }
    for (const event of ["click", "pointerover"])
      part("map").addEventListener(event, ({ target }) => {
        if (target.dataset.text) part("point").textContent = target.dataset.text;
      });
    this.read();
  }

  // Takes the sentence, and keeps the chosen word if it still has it.
  read() {
    this.text = part("text").value.trim();
    this.tokens = Elmo.tokenize(this.text).map(({ token }) => token);
    this.vectors = this.model.layers(this.tokens).at(-1); // of the top layer
    const isWord = (token) => /\p{L}/u.test(token);
    const hasSenses = (token) => this.corpus.words.includes(token.toLowerCase());
    const longest = this.tokens.filter(isWord).sort((a, b) => b.length - a.length)[0];
    const choices = [(token) => sameWord(token, this.word), hasSenses, (t) => t === longest];
    this.chosen = choices.map((is) => this.tokens.findIndex(is)).find((k) => k >= 0) ?? -1;
    part("words").replaceChildren(part("words").firstElementChild, ...this.tokens.map((token, k) => {
      if (!isWord(token)) return element("span", {}, token);
      const radio = element("input", {
        type: "radio", name: "play-word", value: k, checked: k === this.chosen,
      });
      return element("label", { className: hasSenses(token) ? "play-senses" : "" },
        radio, element("span", {}, token));
    }));
    this.showWord();
  }

  showWord() {
    const { corpus, tokens, chosen } = this;
    const isEmpty = chosen < 0;
    part("results").hidden = isEmpty;
    part("status").textContent = isEmpty ? "Type a sentence with at least one word." : "";
    if (isEmpty) return;
    this.word = tokens[chosen];
    for (const name of document.querySelectorAll(".play-word")) name.textContent = this.word;
    const vector = corpus.inside("context", this.vectors[chosen]);
    this.showContext(vector);
    this.showStatic();
    this.showMap(vector);
  }

  showContext(vector) {
    const { corpus, word, text } = this;
    const others = corpus.rows.filter(({ token }) => !sameWord(token, word));
    const found = part("others").checked
      ? corpus.nearest(others, vector, text, ({ token }) => token.toLowerCase())
      : corpus.nearest(corpus.rows, vector, text);
    part("context").replaceChildren(...found.slice(0, SHOWN).map(({ token, index, sentence, cosine }) => {
      const [owner, sense] = corpus.senses[sentence.sense] ?? [];
      const entry = element("li", {}, element("b", {}, cosine.toFixed(2)), element("span", {},
        sentence.text.slice(0, index), element("mark", {}, token),
        sentence.text.slice(index + token.length)));
      if (owner === token)
        entry.append(element("small", { className: this.color(sentence.sense) }, sense));
      return entry;
    }));
  }

  showStatic() {
    const { corpus, word } = this;
    const vector = corpus.inside("static", this.model.tokenVector(word));
    const items = corpus.types.map((token, row) => ({ token, row }));
    const found = corpus.ranked("static", items, vector).slice(0, SHOWN);
    part("static").replaceChildren(...found.map(({ token, cosine }) => {
      const n = corpus.counts[token];
      return element("li", {}, element("b", {}, cosine.toFixed(2)),
        element("span", {}, element("mark", {}, token)),
        element("small", {}, n > 1 ? `the same ${n} times` : "once"));
    }));
  }

  showMap(vector) {
    const { corpus } = this;
    const word = this.word.toLowerCase();
    const hasMap = corpus.words.includes(word);
    part("figure").hidden = !hasMap;
    part("no-map").hidden = hasMap;
    if (!hasMap) {
      part("status").textContent = `The words closest to “${this.word}” are listed.`;
      return;
    }
    const items = corpus.withSense(word), senses = corpus.sensesOf(word);
    const places = items.map(({ row }) => corpus.place(word, corpus.vector("context", row)));
    const scales = [WIDTH, HEIGHT].map((size, axis) => {
      const values = places.map((place) => place[axis]);
      const low = Math.min(...values), range = Math.max(...values) - low;
      const scale = (value) => MARGIN + ((value - low) / range) * (size - 2 * MARGIN);
      return (value) => Math.min(Math.max(scale(value), RING), size - RING);
    });
    const scaled = (place) => scales.map((scale, axis) => scale(place[axis]).toFixed(1));
    if (word !== this.mapped) {
      this.mapped = word;
      this.trail = [];
      part("points").replaceChildren(...places.map((place, i) => {
        const [cx, cy] = scaled(place), { text, sense } = items[i].sentence;
        const point = shape("circle", { cx, cy, r: 4, class: this.color(sense), "data-text": text });
        point.append(shape("title", {}, text));
        return point;
      }));
      part("point").textContent = "Point at a dot to read its sentence.";
      part("legend").replaceChildren(...senses.map((sense) =>
        element("li", { className: this.color(sense) }, corpus.senses[sense][1])));
      const [share, chance] = corpus.shares[word];
      part("share").textContent = `On average, ${percent(share)} of a point’s ` +
        `${corpus.nearest_count} nearest have its sense. By chance it would be ${percent(chance)}.`;
    }
    const here = scaled(corpus.place(word, vector));
    this.trail = [...this.trail, here].slice(-6);
    part("trail").setAttribute("points", this.trail.join(" "));
    part("here").style.transform = `translate(${here[0]}px, ${here[1]}px)`;

    const votes = corpus.nearest(items, vector, this.text).slice(0, corpus.nearest_count);
    const count = (sense) => votes.filter(({ sentence }) => sentence.sense === sense).length;
    const best = senses.reduce((a, b) => (count(b) > count(a) ? b : a));
    const summary = `Closest sense of “${this.word}”: ${corpus.senses[best][1]}, in ` +
      `${count(best)} of the ${votes.length} nearest sentences.`;
    part("status").textContent = summary;
    part("map").setAttribute("aria-label", `Map of ${items.length} sentences. ${summary}`);
  }

  color(sense) {
    const [word] = this.corpus.senses[sense];
    return `play-sense-${this.corpus.sensesOf(word).indexOf(sense)}`;
  }
}

if (Elmo.files.model && Elmo.files.sentences) {
  const corpus = new Corpus(Elmo.read(Elmo.files.sentences));
  part("app").page = new Page(new Elmo(Elmo.read(Elmo.files.model)), corpus);
  part("form").disabled = false;
} else {
  part("status").textContent = "The model could not be loaded. Reload the page.";
}
