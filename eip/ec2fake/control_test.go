package ec2fake_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/hacluster/hacluster/eip/ec2fake"
)

func TestCallRecord(t *testing.T) {
	log := new(buffer)
	w := newWorld(t, func(c *ec2fake.Config) { c.Log = log })
	id, err := w.associate(alloc1, eniB, aws.Bool(false))
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.associate(alloc1, eniA, aws.Bool(false))
	wantCode(t, err, "Resource.AlreadyAssociated")
	if _, err := w.sdk().DescribeAddresses(t.Context(), &ec2.DescribeAddressesInput{}); err != nil {
		t.Fatal(err)
	}
	var lines []ec2fake.Call
	for s := bufio.NewScanner(bytes.NewReader(log.Bytes())); s.Scan(); {
		var c ec2fake.Call
		if err := json.Unmarshal(s.Bytes(), &c); err != nil {
			t.Fatalf("%s: %v", s.Bytes(), err)
		}
		lines = append(lines, c)
	}
	if len(lines) != 3 {
		t.Fatalf("%d lines, want 3:\n%s", len(lines), log.Bytes())
	}
	moved, refused, read := lines[0], lines[1], lines[2]
	if moved.Seq != 1 || moved.Code != ec2fake.OutcomeOK || moved.AssociationID != id || !moved.Changed || !moved.Mutating() ||
		moved.Instance != instanceA || moved.Source != "127.0.0.1" || moved.AccessKey != keyID || !moved.Done ||
		moved.Parameters["NetworkInterfaceId"] != eniB || moved.AllowReassociation == nil || *moved.AllowReassociation {
		t.Errorf("associate: %+v", moved)
	}
	if moved.Received <= 0 || moved.Received > moved.Effect || moved.Effect > moved.Answered || moved.ReceivedBoot > moved.EffectBoot {
		t.Errorf("times out of order: received %d, effect %d, answered %d", moved.Received, moved.Effect, moved.Answered)
	}
	if refused.Code != "Resource.AlreadyAssociated" || refused.Status != 400 || refused.Changed || refused.Effect != 0 || !refused.Mutating() {
		t.Errorf("refused associate: %+v", refused)
	}
	if read.Action != "DescribeAddresses" || read.Mutating() || read.AllowReassociation != nil {
		t.Errorf("describe: %+v", read)
	}
	if got := w.fake.Calls(2); len(got) != 1 || got[0].Seq != 3 {
		t.Errorf("calls since 2: %+v", got)
	}
}

func TestControl(t *testing.T) {
	var changes []ec2fake.Change
	w := newWorld(t, func(c *ec2fake.Config) {
		c.OnChange = func(ch ec2fake.Change) { changes = append(changes, ch) }
	})
	control := httptest.NewServer(w.fake.Control())
	defer control.Close()
	do := func(method, path, body string) (int, string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, control.URL+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := w.http.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text := new(bytes.Buffer)
		if _, err := text.ReadFrom(resp.Body); err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, strings.TrimSpace(text.String())
	}
	id := w.mustAssociate(alloc1, eniA)
	if status, text := do("POST", "/faults", `[{"kind":"deny","action":"AssociateAddress"},{"kind":"latency","delay":"5ms"}]`); status != 200 {
		t.Fatalf("faults: %d %s", status, text)
	}
	if _, err := w.associate(alloc1, eniC, nil); code(err) != "UnauthorizedOperation" {
		t.Errorf("fault not in force: %v", err)
	}
	// A person at the console is not bound by the faults, and is not in the log of calls.
	if status, text := do("POST", "/associate", `{"allocation_id":"`+alloc1+`","private_ip":"`+privateB+`"}`); status != 200 {
		t.Fatalf("associate: %d %s", status, text)
	}
	_, text := do("GET", "/state", "")
	var st ec2fake.State
	if err := json.Unmarshal([]byte(text), &st); err != nil {
		t.Fatal(err)
	}
	if a := st.Addresses[0]; a.Instance != instanceB || a.ENI != eniB || a.AssociationID == id || len(st.Faults) != 2 || st.Calls != 2 {
		t.Errorf("state: %s", text)
	}
	for range 2 { // freeing a free address changes nothing
		if status, text := do("POST", "/disassociate", `{"allocation_id":"`+alloc1+`"}`); status != 200 {
			t.Fatalf("disassociate: %d %s", status, text)
		}
	}
	if len(changes) != 3 || changes[1].Seq != 0 || changes[2].NewAssociationID != "" {
		t.Errorf("changes: %+v", changes)
	}
	_, text = do("GET", "/calls?since=1", "")
	var calls []ec2fake.Call
	if err := json.Unmarshal([]byte(text), &calls); err != nil || len(calls) != 1 || calls[0].Faults[0] != ec2fake.Deny {
		t.Errorf("calls: %s (%v)", text, err)
	}
	for _, bad := range [][3]string{
		{"POST", "/faults", `[{"kind":"gremlins"}]`},
		{"POST", "/faults", `{"kind"`},
		{"POST", "/associate", `{"allocation_id":"eipalloc-9","private_ip":"` + privateB + `"}`},
		{"POST", "/associate", `{"allocation_id":"` + alloc1 + `","private_ip":"192.0.2.1"}`},
		{"POST", "/disassociate", `{"allocation_id":"eipalloc-9"}`},
		{"GET", "/calls?since=yesterday", ""},
	} {
		if status, text := do(bad[0], bad[1], bad[2]); status != 400 || !strings.Contains(text, `"error"`) {
			t.Errorf("%q: %d %s, want 400 and an error", bad, status, text)
		}
	}
}
