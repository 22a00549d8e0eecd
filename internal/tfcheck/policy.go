package tfcheck

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
)

// Policy is an IAM policy of one identity (IAM user guide, "IAM JSON policy elements reference").
type Policy struct {
	Version    string      `json:"Version"`
	Statements []Statement `json:"Statement"`
}

// Statement is one of a Policy. NotAction, NotResource and Principal are not known here and are errors.
type Statement struct {
	Sid        string                          `json:"Sid"`
	Effect     string                          `json:"Effect"`
	Actions    oneOrMany                       `json:"Action"`
	Resources  oneOrMany                       `json:"Resource"`
	Conditions map[string]map[string]oneOrMany `json:"Condition"` // operator -> key -> values
}

// oneOrMany is a text or a list of texts.
type oneOrMany []string

// UnmarshalJSON reads either form.
func (o *oneOrMany) UnmarshalJSON(data []byte) error {
	var one string
	if json.Unmarshal(data, &one) == nil {
		*o = []string{one}
		return nil
	}
	return json.Unmarshal(data, (*[]string)(o))
}

// Request is a call as IAM sees it. All its resources must be allowed; one without any stands for "*".
type Request struct {
	Action    string
	Resources []Resource
	Context   map[string]string // condition keys of the request itself
}

// Resource is one resource of a Request with its tags.
type Resource struct {
	ARN  string
	Tags map[string]string
}

// ParsePolicy reads a policy and refuses what Allows could not judge.
func ParsePolicy(data string) (Policy, error) {
	var p Policy
	dec := json.NewDecoder(bytes.NewReader([]byte(data)))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&p); err != nil {
		return Policy{}, fmt.Errorf("parse policy: %w", err)
	}
	if p.Version != "2012-10-17" {
		return Policy{}, fmt.Errorf("parse policy: unknown version %q", p.Version)
	}
	for _, s := range p.Statements {
		if err := s.validate(); err != nil {
			return Policy{}, fmt.Errorf("parse policy: statement %s: %w", s.Sid, err)
		}
	}
	return p, nil
}

func (s Statement) validate() error {
	var errs []error
	if s.Effect != "Allow" && s.Effect != "Deny" {
		errs = append(errs, fmt.Errorf("unknown effect %q", s.Effect))
	}
	if len(s.Actions) == 0 || len(s.Resources) == 0 {
		errs = append(errs, errors.New("needs Action and Resource"))
	}
	for operator := range s.Conditions {
		if matcher(operator) == nil {
			errs = append(errs, fmt.Errorf("unknown condition operator %q", operator))
		}
	}
	return errors.Join(errs...)
}

// Allows decides as IAM does: denied unless a statement allows it for every resource, and no statement denies it for any.
func (p Policy) Allows(r Request) bool {
	resources := r.Resources
	if len(resources) == 0 {
		resources = []Resource{{ARN: "*"}}
	}
	for _, resource := range resources {
		decided := func(effect string) bool {
			return slices.ContainsFunc(p.Statements, func(s Statement) bool { return s.Effect == effect && s.applies(r, resource) })
		}
		if !decided("Allow") || decided("Deny") {
			return false
		}
	}
	return true
}

func (s Statement) applies(r Request, resource Resource) bool {
	action := func(pattern string) bool { return glob(strings.ToLower(pattern), strings.ToLower(r.Action)) }
	arn := func(pattern string) bool { return pattern == "*" || globARN(pattern, resource.ARN) }
	return slices.ContainsFunc(s.Actions, action) && slices.ContainsFunc(s.Resources, arn) && s.conditionsHold(r, resource)
}

// conditionsHold: all operators and all keys must hold, each for one of its values. A key that the request lacks does not.
func (s Statement) conditionsHold(r Request, resource Resource) bool {
	for operator, keys := range s.Conditions {
		for key, values := range keys {
			value, known := conditionValue(r, resource, key)
			matches := func(want string) bool { return matcher(operator)(want, value) }
			if !known || !slices.ContainsFunc(values, matches) {
				return false
			}
		}
	}
	return true
}

func conditionValue(r Request, resource Resource, key string) (value string, known bool) {
	for _, prefix := range []string{"aws:ResourceTag/", "ec2:ResourceTag/"} {
		if tag, ok := strings.CutPrefix(key, prefix); ok {
			value, known = resource.Tags[tag]
			return value, known
		}
	}
	value, known = r.Context[key]
	return value, known
}

// matcher returns how an operator compares, nil for one that is not known here.
func matcher(operator string) func(pattern, value string) bool {
	switch operator {
	case "StringEquals":
		return func(pattern, value string) bool { return pattern == value }
	case "StringLike":
		return glob
	case "ArnEquals", "ArnLike":
		return globARN
	default:
		return nil
	}
}

// globARN matches the six parts of an ARN each on its own, as IAM does.
func globARN(pattern, arn string) bool {
	patterns, parts := strings.SplitN(pattern, ":", 6), strings.SplitN(arn, ":", 6)
	return len(patterns) == 6 && len(parts) == 6 && slices.EqualFunc(patterns, parts, glob)
}

// glob matches '*' and '?'. Unlike in path.Match, '*' matches '/' too, and brackets mean themselves.
func glob(pattern, text string) bool {
	pattern = strings.NewReplacer(`\`, `\\`, `[`, `\[`, "/", "\x00").Replace(pattern)
	ok, err := path.Match(pattern, strings.ReplaceAll(text, "/", "\x00"))
	return ok && err == nil
}
