package synth

import (
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"time"
)

// notes writes the report of an image taken at a visit, and the visit's note: inside a document, or as a Binary that it points to.
func (b *builder) notes(m *member, enc string, at time.Time, reason complaint, n int) {
	text := fmt.Sprintf("Visit of %s on %s.\nReason: %s.\nFindings as recorded. Plan discussed with the member.\n",
		m.name(), at.Format(time.DateOnly), reason.snomed.display)
	doctor := &b.net.people[m.doctor]
	w := &b.w

	film := fmt.Sprintf("Chest radiograph of %s, %s, two views.\nHeart size normal, lungs clear.\n", m.name(), at.Format(time.DateOnly))
	b.begin("DiagnosticReport", m.newID("Imaging"), at, "Chest radiograph, two views", usCore+"us-core-diagnosticreport-note")
	w.str("status", "final")
	w.concepts("category", "", code{loinc, "LP29684-5", "Radiology"})
	w.concept("code", "", code{loinc, "36643-5", "XR Chest 2 Views"})
	w.ref("subject", m.self())
	w.ref("encounter", enc)
	w.instant("effectiveDateTime", at)
	w.instant("issued", at.Add(2*time.Hour))
	w.refs("performer", "Practitioner/"+doctor.id)
	w.list("presentedForm")
	w.obj("")
	w.str("contentType", "text/plain")
	w.str("data", base64.StdEncoding.EncodeToString([]byte(film)))
	w.instant("creation", at)
	w.end()
	w.endList()
	b.clinical()

	var stored string
	if n%2 == 1 {
		b.w.b = append(b.w.b[:0], '{')
		b.typ, b.id = "Binary", m.newID("Binary")
		w.str("resourceType", b.typ)
		w.str("id", b.id)
		w.obj("meta")
		w.instant("lastUpdated", b.last)
		w.end()
		w.str("contentType", "text/plain")
		w.ref("securityContext", m.self())
		w.str("data", base64.StdEncoding.EncodeToString([]byte(text)))
		stored = b.done()
	}

	b.begin("DocumentReference", m.newID("DocumentReference"), at, "Progress note of "+at.Format(time.DateOnly), usCore+"us-core-documentreference")
	w.identifiers(identifier{system: "https://www.cedarmesa.example/ids/document", value: b.id})
	w.str("status", "current")
	w.concept("type", "", code{loinc, "11506-3", "Progress note"})
	w.concepts("category", "", code{"http://hl7.org/fhir/us/core/CodeSystem/us-core-documentreference-category", "clinical-note", "Clinical Note"})
	w.ref("subject", m.self())
	w.instant("date", at.Add(2*time.Hour))
	w.refs("author", "Practitioner/"+doctor.id)
	w.ref("custodian", "Organization/"+b.net.orgs[doctor.org].id)
	w.list("content")
	w.obj("")
	w.obj("attachment")
	w.str("contentType", "text/plain")
	if stored != "" {
		w.str("url", stored)
	} else {
		w.str("data", base64.StdEncoding.EncodeToString([]byte(text)))
	}
	w.int("size", len(text))
	sum := sha1.Sum([]byte(text)) // the hash that Attachment.hash is defined with
	w.str("hash", base64.StdEncoding.EncodeToString(sum[:]))
	w.str("title", "Progress note")
	w.instant("creation", at)
	w.end()
	w.coding("format", code{"http://ihe.net/fhir/ihe.formatcode.fhir/CodeSystem/formatcode", "urn:ihe:iti:xds:2017:mimeTypeSufficient", "mimeType Sufficient"})
	w.end()
	w.endList()
	w.obj("context")
	w.refs("encounter", enc)
	w.period("period", at, at.Add(25*time.Minute))
	w.end()
	b.clinical()
}
