// Package tfcheck renders deploy/terraform's templates and judges what comes out, without an account and without the AWS provider.
//
// All that goes onto a node, and all that a node may do, comes from one Terraform module without a provider (modules/node-files). So Terraform
// itself renders it here: [Render]. [Policy] decides on requests as IAM does, for the little of IAM that the module uses; whatever
// else it meets is an error.
package tfcheck
