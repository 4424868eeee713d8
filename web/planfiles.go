package web

import (
	"context"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"

	"fhirwire/testplans"
	"fhirwire/web/api"
	"fhirwire/web/views"
)

// planFiles are the files of plans, none where all are built in.
func (s *Server) planFiles() testplans.PlanFiles {
	if s.deps.PlanFiles == nil {
		return testplans.PlanFiles{}
	}
	return s.deps.PlanFiles.PlanFiles()
}

// planNamed is the plan with an id: of those in use, else one that was and has stored results.
func (s *Server) planNamed(ctx context.Context, plans []testplans.Plan, id string) (*testplans.Plan, error) {
	if s.deps.Scenarios == nil {
		return planOf(plans, id)
	}
	p, known, err := api.PlanOf(ctx, s.deps.PlanFiles, plans, id)
	switch {
	case err != nil:
		return nil, err
	case !known:
		return planOf(plans, id)
	}
	return &p, nil
}

// isFormer reports a plan that is not in use any more.
func isFormer(plans []testplans.Plan, p *testplans.Plan) bool {
	return !slices.ContainsFunc(plans, func(known testplans.Plan) bool { return known.ID == p.ID })
}

func textHref(plan, digest string) string {
	href := "/api/v1/plans/" + url.PathEscape(plan) + "/text"
	if digest != "" {
		href += "?digest=" + url.QueryEscape(digest)
	}
	return href
}

// sourceOf says on a plan's card where it comes from.
func (s *Server) sourceOf(card *views.Plan, p *testplans.Plan, files *testplans.PlanFiles) {
	if s.deps.PlanFiles == nil {
		return
	}
	card.Text = textHref(p.ID, "")
	if f, own := files.Of(p.ID); own {
		name := visible([]byte(filepath.Base(f.File)))
		card.File = views.PlanFile{Name: name, Path: visible([]byte(f.File)), Word: "from " + name}
		if f.Replaces {
			card.File.Word += ", not built in"
		}
	}
}

// planNotice says on a run's page which text judges, where that is of a file or of a plan that is not in use any more.
func (s *Server) planNotice(ctx context.Context, p *testplans.Plan, v *views.RunLive) error {
	if s.deps.PlanFiles == nil {
		return nil
	}
	plans, err := s.plans(ctx)
	if err != nil {
		return err
	}
	files := s.planFiles()
	f, own := files.Of(p.ID)
	switch {
	case isFormer(plans, p):
		v.Plan, v.Window = s.textLink("not in use any more", p.ID, p.Digest), "" // nothing was read for it
		v.Notices = append([]views.Notice{{
			Class: "v-not-checked", Title: "This plan is not in use any more",
			Text: "Its file is gone, or another build had it. This is how the pair stood when it was judged last; what is recorded now changes nothing.",
		}}, v.Notices...)
	case own:
		v.Plan = views.Link{Text: "from " + visible([]byte(filepath.Base(f.File))) + ", since " + s.dated(f.Since), Href: textHref(p.ID, p.Digest)}
	}
	for _, fault := range files.Faults {
		if own && fault.File == f.File && fault.Effect == testplans.FaultKept {
			v.Notices = append([]views.Notice{{
				Class: "sev-warning", Title: "The plan's file was changed and cannot be read", Text: "The text it had before judges. Scenarios says where the file is wrong.",
				Href: "/scenarios#pf", Link: "What is wrong",
			}}, v.Notices...)
			break
		}
	}
	return nil
}

// otherText leads to the text of a plan by which a result was computed, where that is not the one in use.
func (s *Server) otherText(r *testplans.Result, digest string) views.Link {
	if s.deps.PlanFiles == nil || r.PlanDigest == digest || r.PlanDigest == "" {
		return views.Link{}
	}
	return s.textLink("by another text of the plan", r.Plan, r.PlanDigest)
}

// textLink leads to a text of a plan, if that is kept.
func (s *Server) textLink(words, plan, digest string) views.Link {
	l := views.Link{Text: words}
	if _, err := s.deps.PlanFiles.PlanText(plan, digest); err == nil {
		l.Href = textHref(plan, digest)
	}
	return l
}

// maxFaults bounds what is told of one file.
const maxFaults = 20

// faultsView tells of faults by file, those that keep a file from being used first.
func faultsView(faults []testplans.PlanFault) []views.PlanFault {
	type key struct {
		file   string
		effect testplans.FaultEffect
	}
	at, counts := map[key]int{}, map[key]int{}
	var out, noted []views.PlanFault
	for _, f := range faults {
		list := &out
		if f.Effect == testplans.FaultNoted {
			list = &noted
		}
		k := key{f.File, f.Effect}
		if _, ok := at[k]; !ok {
			at[k] = len(*list)
			*list = append(*list, faultOf(f))
		}
		line := views.FaultLine{Message: visible([]byte(clip(f.Message, 400)))}
		if f.Line > 0 {
			line.Place = "line " + strconv.Itoa(f.Line) + ", column " + strconv.Itoa(f.Column) + ":"
		}
		v := &(*list)[at[k]]
		switch counts[k]++; {
		case counts[k] <= maxFaults:
			v.Lines = append(v.Lines, line)
		case counts[k] == maxFaults+1:
			v.Lines = append(v.Lines, views.FaultLine{Message: "And more: fhirwire plans check lists them all."})
		}
	}
	return append(out, noted...)
}

func faultOf(f testplans.PlanFault) views.PlanFault {
	file := visible([]byte(f.File))
	switch f.Effect {
	case testplans.FaultKept:
		return views.PlanFault{Class: "v-fail", Alert: true, Title: file + " cannot be read", Text: "The text it had before judges until the file is mended. It is read again as soon as it changes."}
	case testplans.FaultSkipped:
		return views.PlanFault{Class: "v-fail", Alert: true, Title: file + " cannot be read", Text: "Nothing of it is in use. It is read again as soon as it changes."}
	case testplans.FaultNoted:
	}
	return views.PlanFault{Class: "sev-warning", Title: file + " is in use and lacks something", Text: "It judges. This is what fhirwire plans check says of it."}
}
