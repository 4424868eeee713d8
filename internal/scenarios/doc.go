// Package scenarios judges test plans over the exchanges recorded on channels, as they come, and keeps runs: what was judged when, what
// people attested, how they decided.
//
// Use New with the plans and the stores and keep Run running: every plan that a channel plays is then judged along with its traffic, within
// a second or so, and results that changed are stored and told. Judge and JudgeRun say how a plan or a run stands now, whether Run is running
// or not. Start makes a run with a window. Nothing that was stored is changed: results, words and decisions are appended.
package scenarios
