// Package terminology answers whether a code is in a value set or a code system, from the definitions at hand and never by
// guessing: Yes, No, or Unknown with the reason.
//
// A Service reads value sets and code systems through a Definitions, compiles each at first use into hashed lists, and is then
// safe for concurrent use without locks. A value set that can be expanded in part says Yes for what it knows, No for a system
// that none of its includes names, and Unknown otherwise. Systems that are defined by a grammar (UCUM, language tags, media
// types) are judged by that grammar. A few sets that live outside the published packages are supplied as lists and say so.
//
// It does not speak to a terminology server; terminology/remote does.
package terminology
