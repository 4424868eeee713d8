package views

// Certificates is the page of the local CA.
type Certificates struct {
	Shell       Shell
	Download    string
	Fingerprint Copy
	Facts       []Fact
	// Ways are how programs are told to trust the root.
	Ways    []TrustWay
	Entries []CertificateRow
}

// TrustWay tells one kind of program to trust the root, and to stop.
type TrustWay struct {
	Title, Text string
	Do          Copy
	Undo        Copy // Text may be empty
}

// CertificateRow is one certificate.
type CertificateRow struct {
	Name, Use, Subject, Names string
	Expires, Fingerprint      string
	Warning                   string
	Dim                       bool // replaced by another
}
