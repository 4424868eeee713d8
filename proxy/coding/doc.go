// Package coding undoes the content codings of a recorded body (RFC 9110, 8.4) for whoever reads it, within bounds.
//
// Of lists what a message's header names, NewReader decodes. What is stored stays as it was received; nothing here changes
// evidence, and nothing here says whether a coding was rightly used.
package coding
