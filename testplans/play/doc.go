// Package play plays the client's side of a plan against a server with real HTTP, recorded like everything else.
//
// New makes a Player over a recorder, a transport and what reads values out of bodies; Run plays a plan's acts in order and reports
// events while it does. What came of it is in the recorder's sink, as exchanges of the mode "played", and is judged from there. Describe
// lists the requests without sending any.
//
// It judges nothing, stores nothing itself, and sends no request that may change data unless the plan says that it writes.
package play
