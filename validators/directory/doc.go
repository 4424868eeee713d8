// Package directory judges an mTLS endpoint directory: the folder of Bundles in which payers publish their endpoint and
// certificate (PDex payer-to-payer, requirements P2P-DIR-*).
//
// Check takes parsed files and gives a Directory: one Entry per file with its issues and what it says (organizations, endpoint,
// certificates, URLs), duplicates between files included. Find, ByCertificate and ByBaseURL look an entry up in both directions;
// Entry.Explain says in words what an entry is good for and what to do next. Rules lists the rules.
//
// The package is pure: it reads no file, no network and no clock. Elements are checked as far as the directory's purpose needs
// them; validating the resources against their profiles is validators/instance's work.
package directory
