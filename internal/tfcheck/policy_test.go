package tfcheck

import (
	"strings"
	"testing"
)

// TestPolicyDecides: the evaluator against rules of the IAM user guide.
func TestPolicyDecides(t *testing.T) {
	const (
		ours   = "arn:aws:ec2:eu-central-1:111122223333:elastic-ip/eipalloc-1"
		others = "arn:aws:ec2:eu-central-1:111122223333:elastic-ip/eipalloc-2"
	)
	tagged := func(arn, tag string) Resource { return Resource{ARN: arn, Tags: map[string]string{"hacluster": tag}} }
	condition := `, "Condition": {"StringEquals": {"aws:ResourceTag/hacluster": "edge"}}`
	for _, row := range []struct {
		name, statements string
		request          Request
		want             bool
	}{
		{"nothing is allowed by default", ``, Request{Action: "ec2:DescribeAddresses"}, false},
		{"an action", allow(`"ec2:DescribeAddresses"`, `"*"`, ""), Request{Action: "ec2:DescribeAddresses"}, true},
		{"actions have no case", allow(`"EC2:describeaddresses"`, `"*"`, ""), Request{Action: "ec2:DescribeAddresses"}, true},
		{"another action", allow(`["ec2:DescribeAddresses"]`, `"*"`, ""), Request{Action: "ec2:ReleaseAddress"}, false},
		{"a pattern", allow(`"ec2:Describe*"`, `"*"`, ""), Request{Action: "ec2:DescribeInstances"}, true},
		{"a resource", allow(`"ec2:A"`, `"`+ours+`"`, ""), Request{Action: "ec2:A", Resources: []Resource{{ARN: ours}}}, true},
		{"one resource of two", allow(`"ec2:A"`, `"`+ours+`"`, ""), Request{Action: "ec2:A", Resources: []Resource{{ARN: ours}, {ARN: others}}}, false},
		{"no resource is not this resource", allow(`"ec2:A"`, `"`+ours+`"`, ""), Request{Action: "ec2:A"}, false},
		{"an asterisk matches slashes", allow(`"s3:G"`, `"arn:aws:s3:::b/*"`, ""), Request{Action: "s3:G", Resources: []Resource{{ARN: "arn:aws:s3:::b/c/d"}}}, true},
		{"an asterisk ends with its part of the ARN", allow(`"ec2:A"`, `"arn:aws:ec2:*:elastic-ip/eipalloc-1"`, ""),
			Request{Action: "ec2:A", Resources: []Resource{{ARN: ours}}}, false},
		{"a tag", allow(`"ec2:A"`, `"*"`, condition), Request{Action: "ec2:A", Resources: []Resource{tagged(ours, "edge")}}, true},
		{"another tag", allow(`"ec2:A"`, `"*"`, condition), Request{Action: "ec2:A", Resources: []Resource{tagged(ours, "core")}}, false},
		{"no tag", allow(`"ec2:A"`, `"*"`, condition), Request{Action: "ec2:A", Resources: []Resource{{ARN: ours}}}, false},
		{"one tag of two", allow(`"ec2:A"`, `"*"`, condition), Request{Action: "ec2:A", Resources: []Resource{tagged(ours, "edge"), tagged(others, "core")}}, false},
		{"a denial goes before", allow(`"ec2:*"`, `"*"`, "") + "," + strings.Replace(allow(`"ec2:A"`, `"*"`, ""), "Allow", "Deny", 1),
			Request{Action: "ec2:A"}, false},
		{"a key of the request", allow(`"ec2:A"`, `"*"`, `, "Condition": {"StringLike": {"ec2:Region": "eu-*"}}`),
			Request{Action: "ec2:A", Context: map[string]string{"ec2:Region": "eu-central-1"}}, true},
	} {
		p, err := ParsePolicy(`{"Version": "2012-10-17", "Statement": [` + row.statements + `]}`)
		if err != nil {
			t.Errorf("%s: %v", row.name, err)
		} else if got := p.Allows(row.request); got != row.want {
			t.Errorf("%s: allowed: %v, want %v", row.name, got, row.want)
		}
	}
}

func allow(actions, resources, more string) string {
	return `{"Sid": "S", "Effect": "Allow", "Action": ` + actions + `, "Resource": ` + resources + more + `}`
}

// TestPolicyRefusesWhatItDoesNotKnow: a part of IAM that is ignored could allow anything.
func TestPolicyRefusesWhatItDoesNotKnow(t *testing.T) {
	for want, statement := range map[string]string{
		`unknown condition operator "StringNotEquals"`: allow(`"a:B"`, `"*"`, `, "Condition": {"StringNotEquals": {"aws:ResourceTag/x": "y"}}`),
		`unknown condition operator "ForAllValues:StringEquals"`: allow(`"a:B"`, `"*"`,
			`, "Condition": {"ForAllValues:StringEquals": {"aws:TagKeys": "y"}}`),
		`"NotAction"`:               `{"Effect": "Allow", "NotAction": "a:B", "Resource": "*"}`,
		`"NotResource"`:             `{"Effect": "Allow", "Action": "a:B", "NotResource": "*"}`,
		`unknown effect "Maybe"`:    strings.Replace(allow(`"a:B"`, `"*"`, ""), "Allow", "Maybe", 1),
		`needs Action and Resource`: `{"Effect": "Allow", "Action": "a:B"}`,
	} {
		_, err := ParsePolicy(`{"Version": "2012-10-17", "Statement": [` + statement + `]}`)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want one with %s", statement, err, want)
		}
	}
}
