//go:build e2e

package e2e

import (
	"errors"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// fhirKit is what TestFHIRKitClient does with fhir-kit-client: each line that it prints is a thing that went well.
const fhirKit = `
import assert from 'node:assert/strict';
import { Client } from 'fhir-kit-client';
const c = new Client({ baseUrl: process.argv[2] });
const status = async (f) => { try { await f(); return 200 } catch (e) { assert.equal(e.response.data.resourceType, 'OperationOutcome'); return e.response.status } };
const done = (what) => console.log(what);

assert.equal((await c.capabilityStatement()).fhirVersion, '4.0.1'); done('capabilityStatement');
assert.match((await c.smartAuthMetadata()).tokenUrl.href, /oauth\/token$/); done('smartAuthMetadata');
const patient = await c.read({ resourceType: 'Patient', id: '999' }); done('read');
assert.equal((await c.vread({ resourceType: 'Patient', id: '999', version: patient.meta.versionId })).id, '999'); done('vread');
assert.equal(await status(() => c.read({ resourceType: 'Patient', id: 'none' })), 404); done('read of nothing');
assert.ok((await c.search({ resourceType: 'Patient', searchParams: { birthdate: ['gt1950', 'lt2000'], _count: 3 } })).entry.length > 0); done('search');
assert.equal((await c.search({ resourceType: 'Patient', searchParams: { _id: '999' }, options: { postSearch: true } })).total, 1); done('posted search');
const all = await c.search({ resourceType: 'Observation', searchParams: { patient: '999', _count: 1000 } });
let page = await c.search({ resourceType: 'Observation', searchParams: { patient: '999', _count: 20 } }), n = 0;
for (; page; page = await c.nextPage({ bundle: page })) n += page.entry.length;
assert.equal(n, all.entry.length); done('pages');
const own = await c.compartmentSearch({ resourceType: 'Observation', compartment: { resourceType: 'Patient', id: '999' }, searchParams: { category: 'laboratory' } });
assert.ok(own.total > 0 && own.entry.every((e) => e.resource.subject.reference === 'Patient/999')); done('compartment');
assert.equal((await c.history({ resourceType: 'Patient', id: '999' })).type, 'history'); done('history');
const with_ = await c.search({ resourceType: 'Encounter', searchParams: { patient: '999', _include: 'Encounter:patient' } });
assert.equal((await c.resolve({ reference: 'Patient/999', context: with_ })).id, '999'); done('resolve in a bundle');
assert.equal((await c.resolve({ reference: patient.managingOrganization.reference, context: patient })).resourceType, 'Organization'); done('resolve');

const body = { resourceType: 'Patient', identifier: [{ system: 'urn:kit', value: '1' }], name: [{ family: 'Kit', given: ['A'] }], gender: 'male', birthDate: '2000-01-01' };
const { id } = await c.create({ resourceType: 'Patient', body }); done('create');
assert.equal((await c.update({ resourceType: 'Patient', id, body: { ...body, id, active: true } })).meta.versionId, '2'); done('update');
assert.equal((await c.update({ resourceType: 'Patient', searchParams: { identifier: 'urn:kit|1' }, body })).meta.versionId, '3'); done('conditional update');
assert.equal((await c.patch({ resourceType: 'Patient', id, jsonPatch: [{ op: 'test', path: '/gender', value: 'male' }, { op: 'replace', path: '/gender', value: 'female' }] })).gender, 'female'); done('patch');
const batch = await c.batch({ body: { resourceType: 'Bundle', type: 'batch', entry: [{ request: { method: 'GET', url: '/Patient/' + id } }, { request: { method: 'DELETE', url: 'Patient/' + id } }] } });
assert.deepEqual(batch.entry.map((e) => e.response.status.slice(0, 3)), ['200', '204']); done('batch');
assert.equal(await status(() => c.read({ resourceType: 'Patient', id })), 410); done('read of the deleted');
const temporary = 'urn:uuid:61ebe359-bfdc-4613-8bf2-c5e300945f0a';
const tx = await c.transaction({ body: { resourceType: 'Bundle', type: 'transaction', entry: [
  { fullUrl: temporary, resource: body, request: { method: 'POST', url: 'Patient' } },
  { resource: { resourceType: 'RelatedPerson', active: true, patient: { reference: temporary }, name: [{ family: 'Kin' }] }, request: { method: 'POST', url: 'RelatedPerson' } }] } });
assert.deepEqual(tx.entry.map((e) => e.response.status.slice(0, 3)), ['201', '201']); done('transaction');
const everything = await c.operation({ resourceType: 'Patient', name: '$everything', id: '999', method: 'GET' });
assert.ok(everything.entry.length > 20); done('$everything');
assert.equal(await status(() => c.operation({ resourceType: 'Patient', name: 'member-match', input: { resourceType: 'Parameters', parameter: [] } })), 422); done('$member-match of nothing');
`

// TestFHIRKitClient is a FHIR client library for JavaScript (fhir-kit-client) through a channel: all it can do works, and what the
// payer answers has no findings.
func TestFHIRKitClient(t *testing.T) {
	modules := os.Getenv("FHIRWIRE_NODE_MODULES")
	if _, err := os.Stat(filepath.Join(modules, "fhir-kit-client")); modules == "" || err != nil {
		t.Skipf("fhir-kit-client is not installed (FHIRWIRE_NODE_MODULES): %v", err)
	}
	if _, err := exec.LookPath("node"); err != nil {
		t.Skipf("node is not installed: %v", err)
	}
	p := start(t, "--demo")
	_, channel := p.connect(t, "fhir-kit", p.reference, "", "")
	dir := t.TempDir()
	script := filepath.Join(dir, "client.mjs")
	if err := errors.Join(os.WriteFile(script, []byte(fhirKit), 0o600), os.Symlink(modules, filepath.Join(dir, "node_modules"))); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), "node", script, p.proxy+"/"+channel+"/fhir").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if n := strings.Count(fhirKit, "done('"); strings.Count(string(out), "\n") != n {
		t.Errorf("%d things were to go well:\n%s", n, out)
	}
	for _, e := range p.all(t, url.QueryEscape("channel:"+channel), 24) {
		if e.Status == 0 || e.Failure.Reason == "client-gone" {
			continue // it asks for several documents at once, takes the first answer and hangs up on the others, if it gets to asking for them
		}
		if e.Status >= 400 && e.Status != 404 && e.Status != 410 && e.Status != 422 {
			t.Errorf("%s %s: %d", e.Method, e.URL, e.Status)
		}
		if e.Status < 400 && !slices.Contains([]string{"pass", "pass-notes"}, e.Verdict) {
			t.Errorf("%s %s (%d): verdict %s: %s", e.Method, e.URL, e.Status, e.Verdict, p.findings(t, e.ID))
		}
	}
}
