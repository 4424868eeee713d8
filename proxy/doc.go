// Package proxy holds the words of recorded traffic: Exchange (one request and its response, as captured), Message, Body,
// System, Channel, Edit, Interaction, and the filter language that selects exchanges.
//
// It is vocabulary: types, their invariants and their text forms. Recording is in record, forwarding in reverse, storage in
// internal/store. It imports only the standard library.
package proxy
