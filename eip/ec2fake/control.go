package ec2fake

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/netip"
	"strconv"
)

// Control returns the handler by which another process watches and disturbs the emulator, in JSON: GET /state, GET
// /calls?since=N, POST /faults (an array of Fault, which replaces those in force), POST /associate (allocation_id,
// private_ip), POST /disassociate (allocation_id). The methods of Server of the same names say what they do.
func (s *Server) Control() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /state", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, s.State(), nil) })
	mux.HandleFunc("GET /calls", func(w http.ResponseWriter, r *http.Request) {
		since, err := strconv.ParseInt(r.FormValue("since"), 10, 64)
		if r.FormValue("since") == "" {
			since, err = 0, nil
		}
		writeJSON(w, s.Calls(since), err)
	})
	mux.HandleFunc("POST /faults", func(w http.ResponseWriter, r *http.Request) {
		var faults []Fault
		err := readJSON(r, &faults)
		if err == nil {
			err = s.SetFaults(faults)
		}
		writeJSON(w, s.faults.list(), err)
	})
	mux.HandleFunc("POST /associate", func(w http.ResponseWriter, r *http.Request) {
		var id string
		var req moveRequest
		err := readJSON(r, &req)
		if err == nil {
			id, err = s.Associate(req.AllocationID, req.PrivateIP)
		}
		writeJSON(w, map[string]string{"association_id": id}, err)
	})
	mux.HandleFunc("POST /disassociate", func(w http.ResponseWriter, r *http.Request) {
		var req moveRequest
		err := readJSON(r, &req)
		if err == nil {
			err = s.Disassociate(req.AllocationID)
		}
		writeJSON(w, struct{}{}, err)
	})
	return mux
}

type moveRequest struct {
	AllocationID string     `json:"allocation_id"`
	PrivateIP    netip.Addr `json:"private_ip"`
}

func readJSON(r *http.Request, into any) error {
	d := json.NewDecoder(io.LimitReader(r.Body, maxBody))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return errors.New("read request: " + err.Error())
	}
	return nil
}

// writeJSON answers with v, or with 400 and the error.
func writeJSON(w http.ResponseWriter, v any, err error) {
	w.Header().Set("Content-Type", "application/json")
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		v = map[string]string{"error": err.Error()}
	}
	// A client that has gone is nobody's error.
	_ = json.NewEncoder(w).Encode(v)
}
