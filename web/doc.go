// Package web is the dashboard: server-rendered pages over what was recorded, live rows over server-sent events, and the
// JSON API of package api under one handler.
//
// Use New with the stores and Options, serve Server.Handler, and register Server.Close to run when the listener shuts down,
// so that live streams end. Handlers read words (proxy, validators, testplans), build view structs and render them; nothing
// recorded is ever served as an active document. Recording, storage and judging are behind the interfaces in Deps.
package web
