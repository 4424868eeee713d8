// Package forward is the forward proxy: clients name it in their HTTP proxy setting, keep the URLs they have, and everything they
// exchange with registered servers is recorded. New(hosts, recorder, leaves, Options{}) is an http.Handler for its listener;
// Shutdown ends the tunnels that http.Server no longer knows of.
//
// elazarl/goproxy speaks the proxy protocol (CONNECT, absolute URLs, refusals, upgrades). A CONNECT to a registered host is
// intercepted with a certificate of the local CA; what comes out of it is served by net/http, HTTP/1.1 and HTTP/2, and goes through
// goproxy again as a request with an absolute URL, so that plain and intercepted requests take one way. goproxy's own interception
// loop is not used: it has no limits on headers or time, knows no 100-continue, survives shutdown and dies of a panic.
//
// Requests and responses pass byte for byte, and nothing is rewritten; hop-by-hop fields (RFC 9110 7.6.1) excepted, and those that name
// a client certificate (RFC 9440), which are an edit of the record. A host is
// registered when it is in the base URL or an auxiliary URL of a server system that has a channel, with its port and scheme. All else
// is refused before its name is looked up, and the refusal is recorded. Which channel is meant follows from the proxy user name (a
// channel's name or a client's slug), from a client certificate on record, or from there being only one that leads to the host.
//
// On a channel set to pass through, the connection goes on unread; only its metadata are recorded.
//
// # What goproxy, ReverseProxy and net/http would do, and the tests that hold
//
//   - a replaced response body loses its Content-Length and becomes chunked: TestLengthsStayAsTheServerSentThem
//   - bodies are closed twice: TestOneTunnelServesManyRequests, and record's TestSealOnce
//   - Accept-Encoding is replaced and gzip added: TestInterceptedRequestsPassUnchanged, TestPlainRequestsPassUnchanged; reverse's TestBytes
//   - intercepted tunnels outlive http.Server.Shutdown: TestShutdownLetsRequestsFinish, TestShutdownEnds, TestShutdownClosesWhatStandsStill
//   - the built-in CA's key is public: TestLeavesComeFromTheLocalCA
//   - servers are not verified, or not in each release: TestServersAreVerified, TestFailuresAreRecordedAndShort
//   - an upstream proxy comes from the environment: TestProxiesOfTheEnvironmentAreNotUsed
//   - bytes behind CONNECT are lost: TestBytesBehindConnectAreNotLost
//   - responses are buffered: TestBodiesPassAsTheyCome; one that breaks off ends as if whole: TestAResponseThatBreaksOffDoesSoForTheClient
//   - trailers, 100-continue and 103 are dropped: TestTrailersPass, TestExpectContinue, TestEarlyHintsPass; without end, 103 is relayed
//     for ever: TestEarlyHintsWithoutEnd
//   - upgraded connections stay open: TestUpgradedConnections, TestAnUpgradeThatEndsIsClosed, TestNoOtherProtocolIsSwitchedTo
//   - a panic ends the process: TestAPanicCostsOneRequest; URLs with secrets are printed: TestNothingIsPrinted
//   - no limits of time and size in tunnels: TestSlowClients, TestLimits, TestLongHeadersInATunnel
//   - Rewrite drops query parameters it cannot parse, the transport reads on after the handler: reverse's TestBytes, TestBreaks
//   - the host of a URL in HTTP/2's :path is dropped: TestHTTP2Attacks; user information is: TestUserInformationInAURL
//   - what is hidden behind a request's ambiguous end: TestSmuggling; malformed CONNECTs: TestMalformedConnect
//   - names that come to mean other addresses: TestRebindingNames, TestRegisteredNumbers, upstream's TestNever and TestOwnListener
package forward
