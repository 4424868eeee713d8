package edgecases

import (
	"cmp"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// AdminPath is where Admin serves.
const AdminPath = "/admin/edges"

// Admin serves the switches, to browsers as a page with forms and otherwise as JSON: GET AdminPath lists edges and switches, PUT AdminPath/{client} with a Switch turns on,
// DELETE AdminPath/{client} turns off. It answers this machine only, and no page of another origin.
func (s *Switches) Admin() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+AdminPath, s.list)
	mux.HandleFunc("POST "+AdminPath, s.submit)
	mux.HandleFunc("PUT "+AdminPath+"/{client}", s.put)
	mux.HandleFunc("DELETE "+AdminPath+"/{client}", func(w http.ResponseWriter, r *http.Request) {
		if !s.Clear(r.PathValue("client")) {
			problem(w, http.StatusNotFound, "Nothing is switched on for this client.")
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		if !fromHere(r) {
			problem(w, http.StatusForbidden, "Switches are turned from this machine only.")
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// fromHere holds for requests from this machine that no foreign page made: the address, the name asked for (against DNS
// rebinding) and the origin are local.
func fromHere(r *http.Request) bool {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil || !peer.Addr().Unmap().IsLoopback() || !local(r.Host) {
		return false
	}
	origin := r.Header.Get("Origin")
	if origin == "" {
		return true
	}
	u, err := url.Parse(origin)
	return err == nil && u.Host == r.Host
}

func local(hostport string) bool {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = hostport
	}
	if strings.EqualFold(host, "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && addr.IsLoopback()
}

func (s *Switches) list(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Vary", "Accept")
	if wantsPage(r) {
		s.show(w, http.StatusOK, "")
		return
	}
	write(w, http.StatusOK, "application/json", struct {
		Edges    []Description `json:"edges"`
		Switches []Switch      `json:"switches"`
	}{Edges(), s.List()})
}

func (s *Switches) put(w http.ResponseWriter, r *http.Request) {
	if t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || t != "application/json" {
		problem(w, http.StatusUnsupportedMediaType, "The body is to be application/json.")
		return
	}
	var in Switch
	d := json.NewDecoder(io.LimitReader(r.Body, 64<<10))
	d.DisallowUnknownFields()
	if err := d.Decode(&in); err != nil {
		problem(w, http.StatusBadRequest, "The body is no switch: "+err.Error())
		return
	}
	client := r.PathValue("client")
	if in.Client != "" && in.Client != client {
		problem(w, http.StatusBadRequest, "The body names another client than the path.")
		return
	}
	in.Client, in.Seconds = client, cmp.Or(in.Seconds, defaultSeconds)
	if err := s.Set(in); err != nil {
		status := http.StatusInternalServerError
		if errors.Is(err, ErrSwitch) {
			status = http.StatusBadRequest
		}
		problem(w, status, err.Error())
		return
	}
	write(w, http.StatusOK, "application/json", in)
}

func problem(w http.ResponseWriter, status int, detail string) {
	write(w, status, "application/problem+json", struct {
		Title  string `json:"title"`
		Status int    `json:"status"`
		Detail string `json:"detail"`
	}{http.StatusText(status), status, detail})
}

func write(w http.ResponseWriter, status int, contentType string, v any) {
	body, err := json.Marshal(v)
	if err != nil { // plain structs always marshal
		panic(err)
	}
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n')) // the client is gone; there is nobody to tell
}
