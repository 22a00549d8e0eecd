package ec2fake

import (
	"encoding/xml"
	"net/http"
)

// apiError is an error of the EC2 API ("Error codes for the Amazon EC2 API").
type apiError struct {
	status  int
	code    string
	message string
}

// Error returns code and message.
func (e *apiError) Error() string { return e.code + ": " + e.message }

func errClient(code, message string) *apiError {
	return &apiError{status: http.StatusBadRequest, code: code, message: message}
}

func errMissing(parameter string) *apiError {
	return errClient("MissingParameter", "The request must contain the parameter "+parameter)
}

func errInvalid(parameter, value string) *apiError {
	return errClient("InvalidParameterValue", "Value ("+value+") for parameter "+parameter+" is invalid.")
}

func errThrottled() *apiError {
	return &apiError{status: http.StatusServiceUnavailable, code: "RequestLimitExceeded", message: "Request limit exceeded."}
}

func errUnauthorized() *apiError {
	return &apiError{
		status: http.StatusForbidden, code: "UnauthorizedOperation",
		message: "You are not authorized to perform this operation. Encoded authorization failure message: bm90IHJlYWxseSBlbmNvZGVk",
	}
}

// errNotValid refuses credentials or a signature. EC2's list of codes knows no SignatureDoesNotMatch.
func errNotValid(message string) *apiError {
	return &apiError{status: http.StatusUnauthorized, code: "AuthFailure", message: message}
}

func errAuthFailure() *apiError {
	return errNotValid("AWS was not able to validate the provided access credentials")
}

// errExpired refuses a signature that is too old or too new, and temporary credentials that have ended: EC2 has one code for both.
func errExpired() *apiError { return errClient("RequestExpired", "Request has expired.") }

func errDryRun() *apiError {
	return &apiError{
		status: http.StatusPreconditionFailed, code: "DryRunOperation",
		message: "Request would have succeeded, but DryRun flag is set.",
	}
}

// errorResponse is EC2's error document.
type errorResponse struct {
	XMLName   xml.Name `xml:"Response"`
	Code      string   `xml:"Errors>Error>Code"`
	Message   string   `xml:"Errors>Error>Message"`
	RequestID string   `xml:"RequestID"`
}
