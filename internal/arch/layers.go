package arch

import "slices"

// group is one row of the layer table: packages in order. A package may import earlier packages of its own group and what
// uses lists. A name ending in "/..." stands for everything below it.
type group struct {
	name     string
	packages []string
	uses     []string
	// forbidden are packages of std or third parties that the group must not import.
	forbidden []string
}

var (
	layer0 = []string{"proxy", "validators"}
	layer1 = slices.Concat(layer0, []string{"testplans", "proxy/coding"})
	kernel = []string{
		"validators/fhirpath/parse", "validators/fhirjson", "validators/fhirpath/value", "validators/fhirpath", "validators/ig",
		"validators/terminology", "validators/profile", "validators/guides", "validators/coverage", "validators/instance",
	}
	judgement = []string{"validators/interaction", "validators/httprules", "validators/directory", "validators/inspect", "validators/tokens"}
	pure      = []string{"net/http", "github.com/gin-gonic/gin", "gorm.io/gorm"}
)

// layers is the table of the style guide.
var layers = []group{
	{name: "0 words: proxy", packages: []string{"proxy"}},
	{name: "0 words: validators", packages: []string{"validators"}},
	{name: "1 words", packages: []string{"testplans"}, uses: layer0},
	{name: "1 content codings", packages: []string{"proxy/coding"}, uses: layer0},
	{name: "1 transcripts", packages: []string{"proxy/transcript"}, uses: layer0},
	{name: "2 kernel", packages: kernel, uses: []string{"validators"}, forbidden: pure},
	{name: "2 generators", packages: []string{"validators/guides/gen"}, uses: slices.Concat([]string{"validators"}, kernel)},
	{name: "3 judgement", packages: judgement, uses: slices.Concat(layer1, kernel)},
	{name: "3 generators", packages: []string{"validators/gen"}, uses: slices.Concat(layer1, kernel, judgement)},
	{name: "3 judgement: plans", packages: []string{"testplans/checks", "testplans/planfile", "testplans/judge", "testplans/testscript"}, uses: slices.Concat(layer1, kernel, []string{"validators/tokens"})},
	{
		name: "3 judgement: examples of plans", packages: []string{"testplans/rehearsal"},
		uses: slices.Concat(layer1, kernel, judgement, []string{"proxy/transcript", "testplans/checks", "testplans/planfile", "testplans/judge"}),
	},
	{name: "3 judgement: plan files", packages: []string{"testplans/plans"}, uses: slices.Concat(layer1, kernel)},
	{name: "3 judgement: generators of plans", packages: []string{"testplans/plans/requirements", "testplans/plans/uscore"}},
	{name: "3 judgement: rewrite", packages: []string{"proxy/rewrite"}, uses: slices.Concat(layer1, kernel)},
	{
		name:     "4 edges: traffic",
		packages: []string{"proxy/record", "proxy/localca", "proxy/peers", "proxy/upstream", "proxy/answer", "proxy/reverse", "proxy/forward", "proxy/selfcheck", "testplans/play"},
		uses:     slices.Concat(layer1, []string{"proxy/rewrite"}),
	},
	{name: "4 edges: har", packages: []string{"proxy/har"}, uses: slices.Concat(layer1, []string{"proxy/rewrite"})},
	{name: "4 edges: storage", packages: []string{"internal/sqldb", "internal/blobs", "internal/store"}, uses: slices.Concat(layer1, []string{"proxy/rewrite"})},
	{name: "4 edges: live", packages: []string{"internal/live"}, uses: layer1},
	{name: "4 edges: terminology server", packages: []string{"validators/terminology/remote"}, uses: slices.Concat(layer1, []string{"validators/terminology"})},
	{name: "4 edges: packages", packages: []string{"validators/ig/fetch"}, uses: slices.Concat(layer1, []string{"validators/ig"})},
	{name: "5 flow", packages: []string{"internal/pipeline"}, uses: slices.Concat(layer1, []string{"internal/live"})},
	{
		name: "5 flow: plans", packages: []string{"internal/scenarios"},
		uses: slices.Concat(layer1, []string{"internal/live", "testplans/checks", "testplans/judge"}),
	},
	{name: "5 flow: plan files", packages: []string{"internal/planfiles"}, uses: slices.Concat(layer1, []string{"testplans/planfile"})},
	{
		name: "5 flow: must support", packages: []string{"internal/mustsupport"},
		uses: slices.Concat(layer1, []string{"validators/coverage", "validators/fhirjson"}),
	},
	{
		name: "6 surfaces: reference",
		packages: []string{
			"reference/search", "reference/resources", "reference/membermatch", "reference/attribution", "reference/bulk", "reference/smartauth", "reference/directory",
			"reference/synth", "reference/edgecases", "reference/collection", "reference/fhirapi", "reference",
		},
		uses: slices.Concat([]string{"validators", "internal/sqldb"}, kernel),
	},
	{name: "6 surfaces: table of requirements", packages: []string{"reference/requirements"}},
	{name: "6 surfaces: views", packages: []string{"web/views"}},
	{name: "6 surfaces: assets", packages: []string{"web/static"}},
	{name: "6 surfaces: web", packages: []string{"web/api", "web"}, uses: slices.Concat(layer1, []string{"internal/live", "web/views", "web/static"})},
	{name: "7 cmd", packages: []string{"cmd/fhirwire"}, uses: []string{"..."}},
	{name: "tests only", packages: []string{"internal/e2e", "internal/golden", "internal/arch", "internal/blobs/blobstest", "internal/store/storetest", "web/api/apitest", "proxy/proxytest", "validators/fhirpath/fhirpathtest"}, uses: []string{"..."}},
}

// allowed reports whether package from may import package to, and whether from is in the table at all.
func allowed(from, to string) (ok, mapped bool) {
	for _, g := range layers {
		at := slices.Index(g.packages, from)
		if at < 0 {
			continue
		}
		return slices.Contains(g.packages[:at], to) || slices.Contains(g.uses, to) || slices.Contains(g.uses, "...") && to != "cmd/fhirwire", true
	}
	return false, false
}

func forbidden(from, imported string) bool {
	for _, g := range layers {
		if slices.Contains(g.packages, from) {
			return slices.Contains(g.forbidden, imported)
		}
	}
	return false
}
