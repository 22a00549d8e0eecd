# Only templates: no provider, so 'terraform apply' renders everything anywhere, without an account.
terraform {
  required_version = ">= 1.11.0, < 2.0.0"
}
