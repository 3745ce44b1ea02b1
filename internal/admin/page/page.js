// The status page as a whole: routes, events, the filter, and what is asked of attache when.
import { $, at, away, capital, counts, disc, each, facts, frame, h, hide, ms, name, now, phases, plural, put, s, say, set, setClock, shapes, sign, signed, span, tag, tagged, timed, tones } from './tools.js';
import { Token, trouble } from './token.js';

const period = 2000; // ms between two questions
const answers = 16; // how many are kept, to tell rates: half a minute
const mostEvents = 200;

// ---- Routes

// quantile of the requests between two answers, in seconds; NaN: there were none.
function quantile(q, a, b) {
  const total = b.count - a.count, before = new Map(a.buckets.map((x) => [x.le, x.count]));
  let low = 0, under = 0;
  if (!(total > 0)) return NaN;
  for (const { le, count } of b.buckets) {
    const upTo = count - (before.get(le) || 0);
    if (upTo >= q * total) return low + ((le - low) * (q * total - under)) / (upTo - under || 1);
    [low, under] = [le, upTo];
  }
  return Infinity;
}
function latency(seconds, most) {
  if (Number.isNaN(seconds)) return '–';
  if (seconds === Infinity) return `> ${latency(most)}`;
  if (seconds < 0.01) return `${(seconds * 1000).toFixed(1)} ms`;
  return seconds < 1 ? `${Math.round(seconds * 1000)} ms` : `${seconds.toFixed(1)} s`;
}
const rate = (n) => (n >= 10 ? Math.round(n) : n.toFixed(1)).toLocaleString('en-GB');

const columns = ['Route', 'Credentials', 'Requests/s', 'Median', '95\u00a0%', 'Errors', 'Replays', 'No token'];

class Route {
  constructor() {
    this.cells = columns.map((label) => h('td', { role: 'cell', 'data-name': label }));
    this.node = h('tr', { role: 'row' }, ...this.cells);
    this.cells[0].append(h('b', { dir: 'auto' }), h('small', { dir: 'auto' }));
    this.cells[1].dir = 'auto';
    for (const c of this.cells.slice(5)) c.append(h('span'));
    this.answers = [];
  }

  show(r, time) {
    if (this.answers.length && this.answers.at(-1).requests > r.requests) this.answers = []; // counted anew
    this.answers.push({ ...r, time });
    if (this.answers.length > answers) this.answers.shift();
    const first = this.answers[0], seconds = (time - first.time) / 1000, buckets = r.duration.buckets;
    this.credentials = r.credentials;
    put(this.cells[0].firstChild, `${r.host || ''}${r.path || ''}` || r.name);
    put(this.cells[0].lastChild, `${r.methods ? `${r.methods.join(', ')} ` : ''}→ ${r.upstream}`);
    put(this.cells[1], r.credentials.join(', ') + (r.optional ? ' (optional)' : '') || '–');
    put(this.cells[2], seconds > 0 ? rate((r.requests - first.requests) / seconds) : '–');
    [0.5, 0.95].forEach((q, i) => {
      put(this.cells[3 + i], latency(quantile(q, first.duration, r.duration), buckets.length ? buckets.at(-1).le : 0));
    });
    ['errors', 'replays', 'unavailable'].forEach((key, i) => {
      const rising = r[key] > first[key] && key !== 'replays', node = this.cells[5 + i].firstChild;
      set(node, 'class', r[key] === 0 ? 'zero' : rising ? 'rising' : null);
      put(node, r[key].toLocaleString('en-GB') + (rising ? ' ↑' : ''));
    });
    this.bad = r.errors > first.errors || r.unavailable > first.unavailable;
    this.text = [r.name, r.host, r.path, r.upstream, ...r.credentials].join(' ').toLowerCase();
  }
}

// ---- Events

// failed tells why, unless that names a user: then it is in the log alone.
const failed = (e, words) => ['bad', 'login_failed', e.error ? `${words}: ${e.error}` : words];
const repaired = {
  __proto__: null, renewed: 'a new login begins', stale: 'a newer token is there already', over_budget: 'logins did not help, the token stays',
};
const because = { __proto__: null, status: 'by its status', body: 'in its body', login: 'at a login', grpc: 'by its grpc-status' };
const sentences = { // [tone, sign, words after the name]
  __proto__: null,
  logged_in: (e) => ['good', 'logged_in', `logged in: ${life(e)}${e.took_ms ? `, took ${latency(e.took_ms / 1000)}` : ''}`],
  adopted: (e) => ['good', 'adopted', `took over a newer token from the store: ${life(e)}`],
  renewed: (e) => ['news', 'renewed', `renewed by an answer: ${life(e)}`],
  login_failed: (e) => failed(e, `login failed${e.failures > 1 ? ` ${e.failures} times in a row` : ''} (${e.class}${e.next_attempt ? `, next try ${at(ms(e.next_attempt))}` : ''})`),
  refused: (e) => [e.outcome === 'over_budget' ? 'bad' : 'warn', e.outcome === 'renewed' ? 'refused' : e.outcome,
    `refused${e.by ? ` by ${e.by}` : ''}${because[e.signal] ? ` ${because[e.signal]}` : ''}: ${repaired[e.outcome] || e.outcome}`],
  evicted: () => ['none', 'adopted', 'a user’s token was given up: idle, or to make room'],
  store_failed: (e) => failed(e, `the store failed to ${e.op}`),
  revoked: (e) => (e.error ? failed(e, 'could not be revoked') : ['none', 'logged_in', 'revoked']),
  reloaded: (e) => ['news', 'renewed', `configuration reloaded${e.file ? ` from ${e.file}` : ''}`],
  reload_failed: (e) => failed(e, 'configuration not reloaded'),
  gap: (e) => ['warn', 'stale', `${plural(e.missed, 'event')} went by unseen`],
};
const life = (e) => [e.generation ? `generation ${e.generation}` : 'a token', e.expires ? `expires ${at(ms(e.expires))}` : ''].filter(Boolean).join(', ');

let arrived = []; // events that are not in the document yet
const seen = new Set();

function event(e) {
  const key = `${e.id} ${e.at}`; // a stream that begins anew tells again what it told
  if (e.id && seen.has(key)) return;
  if (e.id) seen.add(key);
  if (seen.size > 4 * mostEvents) for (const old of [...seen].slice(0, 2 * mostEvents)) seen.delete(old);
  if (arrived.push(e) === 1) requestAnimationFrame(showEvents);
  if (arrived.length > mostEvents) arrived.shift();
}

function showEvents() {
  const list = $('event-list'), items = arrived.reverse().map((e) => {
    const [tone, kind, words] = (sentences[e.kind] || (() => ['none', 'logged_in', String(e.kind)]))(e);
    const time = h('time'), path = s('path', { d: shapes[kind] || disc, class: /failed|adopted|stale/.test(kind) ? 'open' : 'solid' });
    timed(time, ms(e.at));
    const node = h('li', { class: 'event' }, time, s('svg', { ...frame, class: `of-${tone}` }, path),
      h('span', { dir: 'auto' }, ...(name(e) ? [h('b', {}, name(e)), ` ${words}`] : [capital(words)])));
    node.about = { bad: tone === 'bad', credential: e.credential, text: `${name(e)} ${words}`.toLowerCase() };
    return node;
  });
  arrived = [];
  list.prepend(...items);
  while (list.childElementCount > mostEvents) list.lastElementChild.remove();
  sift('event', [...list.children]);
}

let source;
function listen() {
  if (source && source.readyState !== EventSource.CLOSED) return;
  source = new EventSource('/api/events');
  const take = (kind) => (m) => {
    try { event({ kind, at: new Date(now()).toISOString(), ...JSON.parse(m.data) }); } catch { /* not for us */ }
  };
  source.onmessage = take('');
  source.addEventListener('gap', take('gap'));
  source.onopen = source.onerror = () => put($('stream'), source.readyState === EventSource.OPEN ? 'Live' : 'Not live: connecting …');
}

// ---- The filter

let show = 'all', words = '';
let troubled = new Set(); // credentials

function passes({ bad, credential, credentials, text }) {
  if (show === 'attention' && !bad && !troubled.has(credential) && !(credentials || []).some((c) => troubled.has(c))) return false;
  return words.split(/\s+/).every((word) => text.includes(word));
}

function filter() {
  sift('token', [...rows.values()]);
  sift('route', [...ways.values()]);
  sift('event', [...$('event-list').children]);
}

// sift shows what passes, or says that nothing does.
function sift(kind, all) {
  const n = all.filter((x) => { const shown = passes(x.about || x); hide(x.node || x, !shown); return shown; }).length, none = $(`no-${kind}s`);
  hide(none, n > 0);
  hide(none.previousElementSibling, n === 0);
  put(none, all.length ? `None of ${plural(all.length, kind)} ${show === 'attention' && !words ? 'needs attention' : 'passes the filter'}.` : `There are no ${kind}s.`);
}

// ---- The whole

const rows = new Map(), ways = new Map();

// keyed brings children of parent in line with items, and leaves alone what is right. Moving a row would take the
// focus away from what is in it.
function keyed(map, items, key, make, parent) {
  const gone = new Set(map.keys()), focused = document.activeElement;
  items.forEach((item, i) => {
    const k = key(item);
    gone.delete(k);
    if (!map.has(k)) map.set(k, make(item));
    const { node } = map.get(k);
    if (parent.children[i] !== node) parent.insertBefore(node, parent.children[i] || null);
  });
  for (const k of gone) { map.get(k).node.remove(); map.delete(k); }
  if (document.activeElement !== focused && focused.isConnected) focused.focus({ preventScroll: true });
}

let status, heard, lost;

function take(answer) {
  heard = Date.now();
  setClock(ms(answer.now));
  if (lost && status) say('attache answers again.');
  lost = false;
  status = answer;
  const tokens = answer.tokens.map((t) => [trouble(t), t])
    .sort(([a, t], [b, u]) => b - a || (name(t) < name(u) ? -1 : 1)).map(([, t]) => t);
  const id = (t) => `${t.credential}\n${t.token}\n${t.keyed}`;
  keyed(rows, tokens, id, (t) => new Token(t, poll), $('token-list'));
  for (const t of tokens) rows.get(id(t)).show(t, answer.renew);
  troubled = new Set(tokens.filter((t) => trouble(t) > 0).map((t) => t.credential));
  const way = (r) => `${answer.started}\n${r.name}\n${r.host}\n${r.path}`;
  keyed(ways, answer.routes, way, () => new Route(), $('route-list'));
  for (const r of answer.routes) ways.get(way(r)).show(r, ms(answer.now));
  const longest = Math.max(0, ...[...ways.values()].map((r) => r.answers.at(-1).time - r.answers[0].time));
  put($('span'), longest ? `Rates and latencies over the last ${span(longest)}; the rest since the start` : '');
  head(answer);
  sum(tokens);
  filter();
  tick();
}

function head(a) {
  put($('version'), a.version);
  set($('version'), 'title', `revision ${a.revision}`);
  each($('health'), [['started', a.health.startup], ['ready', a.health.ready], ['live', a.health.live]],
    () => h('li', {}, tag()), (node, [word, yes]) => tagged(node.firstChild, yes ? 'yes' : 'no', yes ? word : `not ${word}`));
}

function sum(tokens) {
  const bad = tokens.filter((t) => trouble(t) > 0).length, n = tokens.length;
  put($('verdict').lastChild, !n ? 'There are no tokens' : bad ? `${bad} of ${plural(n, 'token')} need${bad === 1 ? 's' : ''} attention`
    : n === 1 ? 'The token is well' : `All ${n} tokens are well`);
  const kind = bad ? 'failing' : n ? 'yes' : 'empty';
  set(signed($('verdict').firstChild, kind), 'class', `of-${tones[kind]}`);
  put(document.head.querySelector('title'), bad ? `(${bad}) attache` : 'attache');
  put($('all'), String(n));
  put($('attention'), String(bad));
  const states = phases.map((p) => [p, tokens.filter((t) => t.phase === p).length, p]);
  states.push(['failing', tokens.filter((t) => t.failures > 0).length, 'failing'], ['users', tokens.filter((t) => t.keyed).length, 'per user']);
  counts($('counts'), states.filter(([, n]) => n));
}

// tick shows what changes with time.
function tick() {
  if (!status) return;
  for (const row of rows.values()) if (!row.node.hidden) row.paint();
  const c = status.config, last = c && c.last_reload, items = [['up', ms(status.started), span(now() - ms(status.started))]];
  if (c) items.push(['configuration', NaN, c.file], ['loaded', ms(c.loaded), at(ms(c.loaded))]);
  if (last) items.push(['last reload', ms(last.at), `${last.ok ? 'ok' : 'failed'}, ${away(ms(last.at))}`]);
  facts($('facts'), items);
  const notices = [];
  if (lost) notices.push(['bad', 'attache does not answer. ', `What you see is ${span(Date.now() - heard)} old; trying again.`]);
  if (status.health.draining) notices.push(['warn', 'attache drains. ', 'It is about to end and takes no new traffic.']);
  if (!status.health.live) notices.push(['bad', 'The scheduler stands still. ', 'Tokens are not renewed; attache should be started anew.']);
  if (last && !last.ok) notices.push(['bad', `The configuration of ${at(ms(c.loaded))} stays in service. `, `The last reload failed ${away(ms(last.at))}:\n${last.error}`]);
  each($('notices'), notices, () => h('p', { dir: 'auto' }, h('b'), h('span')), (node, [tone, first, rest]) => {
    set(node, 'class', `notice ${tone}`);
    put(node.firstChild, first);
    put(node.lastChild, rest);
  });
}

let asking, timer;

async function poll() {
  if (asking || document.hidden) return;
  asking = true;
  clearTimeout(timer);
  try {
    const answer = await ask();
    if (answer) take(answer);
    else lose();
  } finally {
    asking = false;
    timer = setTimeout(poll, period);
  }
  set(document.body, 'data-lost', lost ? '' : null);
  listen();
}

// ask returns what /api/status tells; null: it tells nothing.
async function ask() {
  try {
    const r = await fetch('/api/status', { headers: { Accept: 'application/json' }, signal: AbortSignal.timeout(5000) });
    return r.ok ? await r.json() : null;
  } catch {
    return null;
  }
}

function lose() {
  if (!lost && status) say('attache does not answer.');
  if (!status) put($('verdict').lastChild, 'attache does not answer');
  lost = true;
  tick();
}

function begin() {
  $('verdict').prepend(sign('empty'));
  $('columns').append(...columns.map((label) => h('th', { role: 'columnheader', scope: 'col' }, label)));
  const lines = { now: 'M0-2V6M-3.5-6h7L0-1z', due: 'M0-6V6', end: 'M0-6V6' };
  for (const [kind, word] of Object.entries({
    logged_in: 'login', renewed: 'renewed by an answer', adopted: 'from the store', refused: 'refused', login_failed: 'failed',
    now: 'now', due: 'renewal due', end: 'expiry',
  })) {
    const path = s('path', { class: kind, d: shapes[kind] || lines[kind] });
    $('legend').append(h('li', {}, s('svg', frame, s('g', { class: shapes[kind] && 'mark' }, path)), word));
  }
  $('filter').addEventListener('submit', (e) => e.preventDefault());
  $('filter').addEventListener('input', () => {
    show = $('filter').elements.show.value;
    words = $('text').value.trim().toLowerCase();
    filter();
  });
  document.addEventListener('visibilitychange', () => {
    if (!document.hidden) { poll(); return; }
    clearTimeout(timer); // nobody looks
    if (source) source.close();
  });
  setInterval(() => { if (!document.hidden) tick(); }, 1000);
  poll();
}
begin();
