// Package views renders the dashboard: templ components over plain view structs.
//
// A handler fills a struct with words that are ready to show and renders the component; nothing here looks anything up or
// knows a domain type, so a row in the page and a row in a live event are the same component. Recorded content is text and
// is escaped by templ; no component emits raw markup.
package views
