// What the other scripts draw with: elements, signs and times. The page asks for /api/status every two seconds, listens
// to /api/events, and changes the document in place. What comes from attache goes into it as text and attributes alone.
export const $ = (id) => document.getElementById(id);
export const name = (o) => (o.token ? `${o.credential}.${o.token}` : o.credential || '');
export const plural = (n, word) => `${n} ${word}${n === 1 ? '' : 's'}`;
export const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);

// ---- The document

function fill(node, attributes, children) {
  for (const [key, value] of Object.entries(attributes || {})) set(node, key, value);
  node.append(...children.filter((c) => c != null));
  return node;
}
export const h = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);
export const s = (tag, attributes, ...children) =>
  fill(document.createElementNS('http://www.w3.org/2000/svg', tag), attributes, children);

// What is there already is not written again: that would lay out the page anew, and make screen readers talk.
export function set(node, key, value) {
  if (value == null || value === false) node.removeAttribute(key);
  else if (node.getAttribute(key) !== String(value)) node.setAttribute(key, value);
}
export function hide(node, yes) {
  if (node.hidden !== yes) node.hidden = yes;
}
export function put(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

// each makes children of parent, keyed by their place, show items.
export function each(parent, items, make, show) {
  while (parent.childElementCount > items.length) parent.lastElementChild.remove();
  items.forEach((item, i) => {
    const child = parent.children[i] || parent.appendChild(make());
    show(child, item);
  });
}

// ---- Shapes, around 0,0. Each differs from the others by form, not by colour alone. What is looked up by a word of
// attache has no prototype, in which every object has a "constructor".

export const disc = 'M-4.5 0a4.5 4.5 0 1 0 9 0a4.5 4.5 0 1 0-9 0z';
const cross = 'M-3.75-3.75 3.75 3.75M3.75-3.75-3.75 3.75';
export const shapes = {
  __proto__: null,
  logged_in: disc, adopted: disc, renewed: 'M0-6 5.5 0 0 6-5.5 0z',
  refused: 'M-5.5-4.5h11L0 5z', stale: 'M-5-4h10L0 4.5z', over_budget: 'M-5.5-6h11L0 2.5zM-5.5 4h11v2h-11z', login_failed: cross,
};
export const signs = { // of a state: solid and open parts
  __proto__: null,
  fresh: [disc], due: ['M0-4.5a4.5 4.5 0 0 1 0 9z', disc], empty: ['', disc], expired: ['', cross],
  blocked: ['M-4.5-4.5h9v9h-9z'], failing: ['M0-5 5.25 4.5h-10.5z'], yes: ['', 'M-4 .5-1 3.5 4-3'], no: ['', cross],
  users: ['M-4.5 4.5a4.5 4.5 0 0 1 9 0zM-2.25-2.5a2.25 2.25 0 1 0 4.5 0a2.25 2.25 0 1 0-4.5 0z'],
};
export const frame = { width: 12, height: 12, viewBox: '-6 -6 12 12', 'aria-hidden': 'true' };

export function sign(kind) {
  return signed(s('svg', frame, s('path', { class: 'solid' }), s('path', { class: 'open' })), kind);
}
export function signed(svg, kind) {
  const [solid, open] = signs[kind] || signs.empty;
  set(svg.firstChild, 'd', solid || null);
  set(svg.lastChild, 'd', open);
  return svg;
}
export const phases = ['fresh', 'due', 'empty', 'expired', 'blocked'];
export const tones = { __proto__: null, fresh: 'good', due: 'warn', empty: 'none', users: 'none',
  expired: 'bad', blocked: 'bad', failing: 'bad', yes: 'good', no: 'bad' };

export const tag = () => h('span', { class: 'tag' }, sign('empty'), h('span'));
export function tagged(node, kind, words) {
  set(node, 'class', `tag ${tones[kind]}`);
  signed(node.firstChild, kind);
  put(node.lastChild, words);
}

// ---- Time. The clock of attache counts, not that of the browser.

let ahead = 0; // of attache's clock, ms
export const now = () => Date.now() + ahead;
export function setClock(time) { ahead = time - Date.now(); }
export const ms = (text) => (text ? Date.parse(text) : NaN);
const clock = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' });
const day = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short', year: 'numeric' });
const exact = new Intl.DateTimeFormat('en-GB', { dateStyle: 'full', timeStyle: 'long' });

export function at(time) {
  if (Number.isNaN(time)) return '';
  const date = day.format(time), today = day.format(now());
  if (date === today) return clock.format(time);
  return `${date.slice(-4) === today.slice(-4) ? date.slice(0, -5) : date} ${clock.format(time).slice(0, 5)}`;
}
export function span(time) {
  const two = (n) => String(Math.floor(n)).padStart(2, '0');
  const sec = Math.max(0, Math.floor(time / 1000));
  if (sec < 60) return `${sec} s`;
  if (sec < 3600) return `${Math.floor(sec / 60)} min ${two(sec % 60)} s`;
  if (sec < 86400) return `${Math.floor(sec / 3600)} h ${two((sec % 3600) / 60)} min`;
  if (sec < 30 * 86400) return `${Math.floor(sec / 86400)} d ${Math.floor((sec % 86400) / 3600)} h`;
  return `${Math.floor(sec / 86400)} d`;
}
export const away = (time) => (time >= now() ? span(time - now()) : `${span(now() - time).replace(/( min).*| \d\d min/, '$1')} ago`);
export function timed(node, time, text = at(time)) {
  set(node, 'datetime', Number.isNaN(time) ? null : new Date(time).toISOString());
  set(node, 'title', Number.isNaN(time) ? null : exact.format(time));
  put(node, text);
}

// facts shows [word, time or NaN, text] as a list of terms.
export function facts(list, items) {
  each(list, items, () => h('div', {}, h('dt'), h('dd', { dir: 'auto' }, h('time'))), (node, [word, time, text]) => {
    put(node.firstChild, word);
    timed(node.lastChild.firstChild, time, text);
  });
}
// counts shows [state, number, words] with the sign of the state.
export function counts(list, items) {
  each(list, items, () => h('li', {}, sign('empty'), h('span')), (node, [kind, n, words]) => {
    set(signed(node.firstChild, kind), 'class', `of-${tones[kind]}`);
    put(node.lastChild, `${n} ${words}`);
  });
}

// say tells something in the one place that screen readers read out, and takes it away again.
let silence;
export function say(text) {
  put($('said'), text);
  clearTimeout(silence);
  silence = setTimeout(() => put($('said'), ''), 12000);
}
