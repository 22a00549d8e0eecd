package ec2fake

import (
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"net/url"
	"time"
)

const (
	apiVersion = "2016-11-15"
	maxBody    = 1 << 20

	actionAssociate         = "AssociateAddress"
	actionDisassociate      = "DisassociateAddress"
	actionDescribeAddresses = "DescribeAddresses"
	actionDescribeInstances = "DescribeInstances"
	actionDescribeENIs      = "DescribeNetworkInterfaces"
)

func mutates(action string) bool { return action == actionAssociate || action == actionDisassociate }

// query is one request on its way through the emulator.
type query struct {
	call    *Call
	form    url.Values
	plan    plan
	refusal *apiError // found on receipt: malformed, not authenticated, throttled
}

// reply is what a query comes to.
type reply struct {
	body any // an XML answer, if err is nil
	err  *apiError
}

// EC2 returns the handler of the Query API: POST / with a form, as SDKs and the aws command send it.
//
// Once received, a request is carried out whatever becomes of its client: nothing here is bound to the request's context.
func (s *Server) EC2() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := s.receive(r)
		if q.plan.late > 0 {
			s.later(func() { s.landLate(q) })
			panic(http.ErrAbortHandler) // net/http closes the connection
		}
		if !s.wait(q.plan.before) || q.plan.drop {
			s.calls.close(q.call)
			panic(http.ErrAbortHandler)
		}
		rep := s.perform(q)
		if q.plan.lose || !s.wait(q.plan.after) {
			s.calls.close(q.call)
			panic(http.ErrAbortHandler)
		}
		s.calls.update(q.call, func(c *Call) { c.Answered, _ = stamp() })
		s.calls.close(q.call)
		s.write(w, q.call.Seq, rep)
	})
}

func (s *Server) landLate(q query) {
	if s.wait(q.plan.late) {
		s.perform(q)
	}
	s.calls.close(q.call)
}

// receive reads a request, records it and checks all that does not depend on the state.
func (s *Server) receive(r *http.Request) query {
	wall, boot := stamp()
	form, body, err := readForm(r)
	call := Call{Received: wall, ReceivedBoot: boot, Action: form.Get("Action"), Parameters: parameters(form)}
	call.DryRun = form.Get("DryRun") == "true"
	if v := form.Get("AllowReassociation"); v != "" {
		allow := v == "true"
		call.AllowReassociation = &allow
	}
	if ip, ok := sourceOf(r); ok {
		call.Source = ip.String()
	}
	if i := s.instanceAt(r); i != nil {
		call.Instance = i.ID
	}
	if sig, ok := parseSignature(r.Header.Get("Authorization")); ok {
		call.AccessKey = sig.keyID
	}
	q := query{form: form, plan: s.faults.plan(call.Action, call.Instance, call.Source, call.AccessKey)}
	if err == nil {
		err = s.admit(r, body, form)
	}
	q.refusal = err
	q.call = s.calls.open(call)
	if s.cfg.FaultsOf != nil {
		call.Seq = q.call.Seq
		for _, f := range s.cfg.FaultsOf(r, call) {
			q.plan.add(f)
		}
	}
	s.calls.update(q.call, func(c *Call) { c.Faults = q.plan.kinds })
	return q
}

func readForm(r *http.Request) (url.Values, []byte, *apiError) {
	if r.Method != http.MethodPost || r.URL.Path != "/" {
		return nil, nil, errClient("UnsupportedProtocol", "This emulator takes POST / only.")
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	if err != nil || len(body) > maxBody {
		return nil, nil, errClient("MalformedQueryString", "The request body cannot be read.")
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, nil, errClient("MalformedQueryString", "The request body is not a form.")
	}
	return form, body, nil
}

func parameters(form url.Values) map[string]string {
	out := make(map[string]string)
	for name := range form {
		if name != "Action" && name != "Version" {
			out[name] = form.Get(name)
		}
	}
	return out
}

// admit checks signature, action and version, and takes a token from the action's bucket.
func (s *Server) admit(r *http.Request, body []byte, form url.Values) *apiError {
	if err := s.authenticate(r, body); err != nil {
		return err
	}
	action := form.Get("Action")
	switch action {
	case actionAssociate, actionDisassociate, actionDescribeAddresses, actionDescribeInstances, actionDescribeENIs:
	case "":
		return errClient("MissingAction", "The request must contain the parameter Action")
	default:
		return errClient("InvalidAction", "The action "+action+" is not valid for this web service.")
	}
	if v := form.Get("Version"); v != apiVersion {
		return errClient("NoSuchVersion", "The requested version ("+v+") of service AmazonEC2 does not exist")
	}
	for _, name := range []string{"DryRun", "AllowReassociation"} {
		if v := form.Get(name); form.Has(name) && v != "true" && v != "false" {
			return errInvalid(name, v)
		}
	}
	if !s.buckets.take(action, s.cfg.Now()) {
		return errThrottled()
	}
	return nil
}

// perform carries a query out and records what came of it.
func (s *Server) perform(q query) reply {
	rep := reply{err: q.refusal}
	if rep.err == nil {
		rep.err = q.plan.refuse
	}
	if rep.err == nil {
		rep.body, rep.err = s.dispatch(q)
		if q.plan.spoil != nil {
			rep.err = q.plan.spoil
		}
	}
	s.calls.update(q.call, func(c *Call) {
		c.Code, c.Status = OutcomeOK, http.StatusOK
		if rep.err != nil {
			c.Code, c.Status = rep.err.code, rep.err.status
		}
	})
	return rep
}

func (s *Server) dispatch(q query) (any, *apiError) {
	switch q.call.Action {
	case actionAssociate:
		return s.associateAddress(q)
	case actionDisassociate:
		return s.disassociateAddress(q)
	case actionDescribeAddresses:
		return s.describeAddresses(q)
	case actionDescribeInstances:
		return s.describeInstances(q)
	default:
		return s.describeENIs(q)
	}
}

// effect publishes what a call changed and records it. The caller holds effects.
func (s *Server) effect(q query, associationID string, changes []Change) {
	s.publish(changes, q.call.Seq)
	wall, boot := stamp()
	s.calls.update(q.call, func(c *Call) {
		c.AssociationID, c.Changed = associationID, len(changes) > 0
		c.Effect, c.EffectBoot = wall, boot
	})
}

// write answers in EC2's XML.
func (s *Server) write(w http.ResponseWriter, seq int64, rep reply) {
	id := requestID(seq)
	body, status := rep.body, http.StatusOK
	if rep.err != nil {
		status = rep.err.status
		body = errorResponse{Code: rep.err.code, Message: rep.err.message, RequestID: id}
	}
	text, err := xml.MarshalIndent(body, "", "    ")
	if err != nil {
		panic(errors.New("encode answer: " + err.Error())) // our own types: cannot happen
	}
	w.Header().Set("Content-Type", "text/xml;charset=UTF-8")
	w.Header().Set("X-Amzn-Requestid", id)
	w.Header().Set("Date", s.cfg.Now().UTC().Format(http.TimeFormat))
	w.WriteHeader(status)
	// A client that has gone is nobody's error.
	_, _ = w.Write(append([]byte(xml.Header), text...))
}

// requestID makes the UUID of an answer.
func requestID(seq int64) string {
	d := digest("request", seq)
	return d[:8] + "-" + d[8:12] + "-4" + d[13:16] + "-a" + d[17:20] + "-" + d[20:32]
}

// asOf is the time whose state a read shows.
func (s *Server) asOf(q query) time.Time { return s.cfg.Now().Add(-q.plan.stale) }
