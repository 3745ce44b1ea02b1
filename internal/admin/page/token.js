// What a token is, and its row: its state, its life as a line, its last error, and renewal by hand.
import { at, away, counts, disc, each, facts, h, hide, ms, name, now, phases, plural, put, s, say, set, shapes, tag, tagged, tones } from './tools.js';

const usable = (t) => t.phase === 'fresh' || t.phase === 'due' || (t.phase === 'blocked' && ms(t.expires) > now());

// trouble is 0 for a token that is well, and the more the sooner somebody has to look: the same tokens as in internal/top.
export function trouble(t) {
  if (t.keyed) return t.phases.blocked > 0 ? 2 : t.failures > 0 ? 1 : 0;
  if (t.phase === 'expired' || (!usable(t) && (t.failures > 0 || t.required || t.waiters > 0))) return 3;
  return t.phase === 'blocked' ? 2 : t.failures > 0 ? 1 : 0;
}

// extent is the time that a life line shows. A fifth before the issue shows how the token before ended.
function extent(t) {
  const issued = ms(t.issued), expires = ms(t.expires), next = t.failures > 0 ? ms(t.next_attempt) : NaN;
  const latest = Math.max(now(), ...[expires, next].filter((x) => x > 0));
  if (issued > 0) {
    const life = Math.max(1000, (expires > 0 ? expires : now() + 60000) - issued);
    return [issued - life / 5, latest + (expires > 0 ? life / 100 : life / 8)];
  }
  const first = t.marks && t.marks.length ? ms(t.marks[0].at) : now();
  const from = Math.max(first, now() - 600000) - 15000;
  return [from, latest + (latest - from) / 10];
}

const told = {
  __proto__: null,
  logged_in: 'Logged in', adopted: 'Taken from the store', renewed: 'Renewed by an answer', login_failed: 'Login failed',
  refused: 'Refused, renewed', stale: 'An older token was refused', over_budget: 'Refused too often, kept',
};
const form = (mark) => (shapes[mark.outcome] ? mark.outcome : mark.kind);

// ---- A token's row. Life draws its line; its parts are made once and moved afterwards.

class Life {
  constructor() {
    const line = (kind) => s('line', { class: kind, y1: 18, y2: 18 });
    const tick = (kind) => s('line', { class: kind, y1: 9, y2: 27 });
    this.parts = {
      past: line('past'), ahead: line('ahead'), lived: line('lived'), over: line('over'),
      due: tick('due'), end: tick('end'),
    };
    this.next = s('svg', { class: 'next', y: 18 }, s('path', { d: 'M0-9V9M-3.5 5 0 9l3.5-4' }));
    this.marks = s('g');
    this.now = s('svg', { class: 'now', 'aria-hidden': 'true' }, s('path', { d: 'M0 2V34M-3.5 0h7L0 5z' }));
    this.svg = s('svg', { role: 'group' }, ...Object.values(this.parts), this.next, this.marks, this.now);
  }

  draw(t) {
    const [from, to] = extent(t);
    const x = (time) => `${(100 * Math.min(1.2, Math.max(0, (time - from) / (to - from)))).toFixed(2)}%`;
    const place = (part, a, b) => {
      const shown = a >= 0 && b >= a;
      set(part, 'visibility', shown ? null : 'hidden');
      if (shown) { set(part, 'x1', x(a)); set(part, 'x2', x(b)); }
    };
    const issued = ms(t.issued), expires = ms(t.expires), due = ms(t.due), next = ms(t.next_attempt);
    const end = expires > 0 ? expires : to, p = this.parts;
    place(p.past, from, issued > 0 ? issued : to);
    place(p.ahead, issued, end);
    place(p.lived, issued, Math.min(now(), end));
    place(p.over, expires, now());
    place(p.due, due, due);
    place(p.end, expires, expires);
    const retries = t.failures > 0 && next > now();
    set(this.next, 'visibility', retries ? null : 'hidden');
    if (retries) set(this.next, 'x', x(next));
    set(this.now, 'x', x(now()));
    const marks = (t.marks || []).filter((m) => ms(m.at) >= from);
    each(this.marks, marks, () => s('svg', { class: 'mark', y: 18, role: 'img' }, s('title'), s('path')), (node, m) => {
      set(node, 'x', x(ms(m.at)));
      put(node.firstChild, `${told[form(m)] || m.kind}, ${at(ms(m.at))}`);
      set(node.lastChild, 'class', form(m));
      set(node.lastChild, 'd', shapes[form(m)] || disc);
    });
    this.describe(t, marks);
  }

  describe(t, marks) {
    const says = [];
    for (const [word, time] of [['issued', t.issued], ['renewal due', t.due], ['expires', t.expires]]) {
      if (time) says.push(`${word} ${at(ms(time))}`);
    }
    if (t.issued && !t.expires) says.push('no expiry');
    if (!t.issued) says.push('no token yet');
    for (const [kind, word] of [['refused', 'refusal'], ['renewed', 'renewal'], ['login_failed', 'failed login']]) {
      const n = marks.filter((m) => m.kind === kind).length;
      if (n > 0) says.push(plural(n, word));
    }
    set(this.svg, 'aria-label', `Life of ${name(t)}: ${says.join(', ')}`);
  }
}

// asked is called when attache was asked for something, and is about to do it.
export class Token {
  constructor(t, asked) {
    this.title = h('h3', { dir: 'auto' }, h('b'), h('span'));
    this.phase = tag();
    this.failing = tag();
    this.meta = h('span', { class: 'meta', dir: 'auto' });
    this.facts = h('dl', { class: 'facts' });
    this.error = h('div', { class: 'error', hidden: '' }, h('p', {}, h('b'), ' ', h('q', { dir: 'auto' })), h('p', { dir: 'auto' }));
    this.button = h('button', { type: 'button' }, 'Renew now');
    this.button.onclick = () => this.renew(asked);
    this.life = t.keyed ? null : new Life();
    this.users = t.keyed ? h('ul', { class: 'users', role: 'list', 'aria-label': 'Users by state' }) : null;
    this.share = t.keyed ? s('svg', { class: 'share', role: 'img' }) : null;
    this.node = h('li', { class: 'token' },
      h('div', {}, this.title, h('div', { class: 'about' }, this.phase, this.failing, this.meta)),
      h('div', { class: 'life' }, this.life ? this.life.svg : this.share, this.users),
      this.facts, this.button, this.error);
  }

  show(t, mayRenew) {
    this.t = t;
    this.bad = trouble(t) > 0;
    put(this.title.firstChild, t.credential);
    put(this.title.lastChild, `.${t.token}`);
    set(this.title, 'title', name(t));
    if (t.keyed) tagged(this.phase, 'users', plural(t.instances, 'user'));
    else tagged(this.phase, t.phase, t.phase);
    hide(this.failing, !t.failures);
    tagged(this.failing, 'failing', t.failures > 1 ? `failing ${t.failures}×` : 'failing');
    put(this.meta, t.keyed ? t.recipe : `${t.recipe} · ${t.generation ? `generation ${t.generation}` : 'no token yet'}`);
    set(this.node, 'data-phase', t.keyed ? null : t.phase);
    set(this.node, 'data-trouble', this.bad ? '' : null);
    hide(this.button, !mayRenew || t.keyed);
    this.text = [name(t), t.recipe, t.phase, t.failures ? 'failing' : '', t.last_error ? `${t.last_error.class} ${t.last_error.text}` : '']
      .join(' ').toLowerCase();
    if (t.keyed) this.showUsers(t);
    this.showError(t);
    this.settle(t);
    this.paint();
  }

  showUsers(t) {
    const some = phases.filter((p) => t.phases[p] > 0);
    counts(this.users, some.map((p) => [p, t.phases[p], p]));
    let x = 0;
    each(this.share, some, () => s('rect', { height: 6, rx: 2 }), (node, p) => {
      const w = (100 * t.phases[p]) / t.instances;
      set(node, 'class', `of-${tones[p]}`);
      set(node, 'x', `${x.toFixed(2)}%`);
      set(node, 'width', `${Math.max(0.5, w - 0.4).toFixed(2)}%`);
      x += w;
    });
    set(this.share, 'aria-label', `Tokens of users of ${name(t)}: ${some.map((p) => `${t.phases[p]} ${p}`).join(', ') || 'none'}`);
  }

  showError(t) {
    const e = t.last_error;
    hide(this.error, !e);
    if (!e) return;
    const [first, advice] = this.error.children;
    put(first.children[0], `${plural(t.failures, 'login')} failed${t.failures > 1 ? ' in a row' : ''} (${e.class}).`);
    put(first.children[1], e.text);
    put(advice, e.advice || '');
    hide(advice, !e.advice);
  }

  // paint changes what changes with time.
  paint() {
    const t = this.t, items = [], when = (word, time) => { if (time) items.push([word, ms(time), away(ms(time))]); };
    if (!t.keyed) {
      if (!t.expires && t.issued) items.push(['expires', NaN, 'never']);
      when(ms(t.expires) < now() ? 'expired' : 'expires', t.expires);
      if (t.failures > 0 || ms(t.due) <= now()) when('next try', t.next_attempt);
      else when('renewal', t.due);
      this.life.draw(t);
    }
    if (t.waiters) items.push(['waiting', NaN, plural(t.waiters, 'request')]);
    facts(this.facts, items);
  }

  async renew(asked) {
    if (this.waits) return;
    const t = this.t, q = new URLSearchParams({ credential: t.credential, token: t.token });
    this.ask({ ...t, since: Date.now() });
    say(`${name(t)}: asking for a new token.`);
    try {
      const r = await fetch(`/-/renew?${q}`, { method: 'POST' });
      const text = (await r.text()).trim().slice(0, 300);
      if (r.status === 202) { say(`${name(t)}: the login has begun.`); asked(); return; }
      say(`${name(t)}: not renewed. ${text || `The answer was ${r.status}.`}`);
    } catch {
      say(`${name(t)}: not renewed. attache does not answer.`);
    }
    this.ask(null);
  }
  ask(waits) {
    this.waits = waits;
    set(this.button, 'aria-disabled', waits ? 'true' : null);
    put(this.button, waits ? 'Renewing …' : 'Renew now');
    set(this.button, 'aria-label', `${this.button.textContent}: ${name(this.t)}`);
  }
  // settle tells what came of a renewal that was asked for.
  settle(t) {
    const a = this.waits;
    if (a && (t.generation !== a.generation || t.last_success !== a.last_success)) say(`${name(t)} is renewed: generation ${t.generation}.`);
    else if (a && t.failures > a.failures) say(`${name(t)}: the login failed. ${t.last_error ? t.last_error.text.slice(0, 300) : ''}`);
    else if (a && Date.now() - a.since < 30000) return;
    else if (a) say(`${name(t)}: nothing came of it yet.`);
    this.ask(null);
  }
}
