// Package page tries the status page of the admin listener in a real browser:
// Chromium without a window, driven over its DevTools protocol. Most tests serve
// the page's files with answers of their own, for states that are hard to reach,
// at a time that stands still; one looks at a running attache.
//
// What is held: nothing is asked of another origin, the content security policy is
// never violated, every text and sign can be told from its background in both
// colour schemes, everything can be reached by keyboard and has a name for screen
// readers, a phone's width is enough, hostile texts do no harm, and many tokens and
// events do not pile up. With -update the tests write docs/pictures/page-*.png.
//
// It is a module of its own, so that what it needs is no dependency of attache.
// `make test` runs it.
package page
