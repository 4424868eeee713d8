// Package record observes HTTP exchanges without changing them and hands each one, complete and free of secrets, to a Sink.
//
// A forwarder calls Recorder.Begin for a request, sends it on through Recorder.Transport, and wraps the response that goes to the
// client with Pending.Deliver; an exchange that gets no response ends with Pending.Fail. The Exchange is sealed when the response
// handed to the client ends.
//
// What the client saw in full is kept: the end of a response is held back until the Sink has the exchange, and where that takes
// longer than Options.HoldFor, until the exchange is in a journal file in Options.SpoolDir. Run gives journaled exchanges to the
// Sink, also after the process was killed. Traffic itself never waits: bodies pass as they arrive. A Sink that is slow or
// fails costs HoldFor at the end of each response; only with an unwritable SpoolDir too does that end wait for the Sink. Sealed
// exchanges wait in no queue: past Options.InFlight concurrent Puts they are journaled at once.
//
// Both connections of an exchange are described with what their handshakes showed: the client's from the request, whose certificate
// the forwarder judges (Pending.TrustClient), the server's from the connection that the transport used, which may describe itself
// (Connected). An error that knows its explanation and its connection (FailedError) is recorded as it says.
//
// It cannot show what net/http does not: the order between header names, the case of HTTP/1.1 names, chunk boundaries, and 1xx
// responses.
package record
