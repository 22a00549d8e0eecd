package main

import (
	"fmt"
	"regexp"
	"runtime/debug"
	"strings"
)

// noAssertion: SPDX's word for "we do not say".
const noAssertion = "NOASSERTION"

// document is an SPDX 2.3 document: https://spdx.github.io/spdx-spec/v2.3/.
type document struct {
	Version       string         `json:"spdxVersion"`
	DataLicense   string         `json:"dataLicense"`
	ID            string         `json:"SPDXID"`
	Name          string         `json:"name"`
	Namespace     string         `json:"documentNamespace"`
	Creation      creation       `json:"creationInfo"`
	Packages      []component    `json:"packages"`
	Relationships []relationship `json:"relationships"`
}

type creation struct {
	Created  string   `json:"created"`
	Creators []string `json:"creators"`
}

type component struct {
	ID               string        `json:"SPDXID"`
	Name             string        `json:"name"`
	Version          string        `json:"versionInfo"`
	Purpose          string        `json:"primaryPackagePurpose"`
	DownloadLocation string        `json:"downloadLocation"`
	FilesAnalyzed    bool          `json:"filesAnalyzed"`
	Checksums        []checksum    `json:"checksums,omitempty"`
	LicenseDeclared  string        `json:"licenseDeclared"`
	LicenseConcluded string        `json:"licenseConcluded"`
	Copyright        string        `json:"copyrightText"`
	References       []externalRef `json:"externalRefs,omitempty"`
}

type checksum struct {
	Algorithm string `json:"algorithm"`
	Value     string `json:"checksumValue"`
}

type externalRef struct {
	Category string `json:"referenceCategory"`
	Type     string `json:"referenceType"`
	Locator  string `json:"referenceLocator"`
}

type relationship struct {
	From string `json:"spdxElementId"`
	Type string `json:"relationshipType"`
	To   string `json:"relatedSpdxElement"`
}

// describe returns the bill of materials of the program with this file name, version, SHA-256 and date (RFC 3339).
func describe(info *debug.BuildInfo, name, version, sum, date string) document {
	program := module(info.Main.Path, version)
	program.Purpose, program.LicenseDeclared = "APPLICATION", "Apache-2.0"
	program.Checksums = []checksum{{"SHA256", sum}}
	doc := document{
		Version: "SPDX-2.3", DataLicense: "CC0-1.0", ID: "SPDXRef-DOCUMENT", Name: name,
		Namespace:     fmt.Sprintf("https://%s/spdx/%s-%s", info.Main.Path, name, sum),
		Creation:      creation{Created: date, Creators: []string{"Organization: hacluster"}},
		Packages:      []component{program},
		Relationships: []relationship{{"SPDXRef-DOCUMENT", "DESCRIBES", program.ID}},
	}
	parts := []component{module("stdlib", strings.TrimPrefix(info.GoVersion, "go"))}
	for _, dep := range info.Deps {
		if dep.Replace != nil {
			dep = dep.Replace
		}
		parts = append(parts, module(dep.Path, dep.Version))
	}
	for _, part := range parts {
		doc.Packages = append(doc.Packages, part)
		doc.Relationships = append(doc.Relationships, relationship{program.ID, "DEPENDS_ON", part.ID})
	}
	return doc
}

var notInID = regexp.MustCompile(`[^a-zA-Z0-9.-]+`)

// module returns a Go module, or the standard library under the name that vulnerability databases have for it.
func module(path, version string) component {
	return component{
		ID: "SPDXRef-" + notInID.ReplaceAllString(path+"-"+version, "-"), Name: path, Version: version, Purpose: "LIBRARY",
		DownloadLocation: noAssertion, LicenseDeclared: noAssertion, LicenseConcluded: noAssertion, Copyright: noAssertion,
		References: []externalRef{{"PACKAGE-MANAGER", "purl", "pkg:golang/" + path + "@" + strings.ReplaceAll(version, "+", "%2B")}},
	}
}
