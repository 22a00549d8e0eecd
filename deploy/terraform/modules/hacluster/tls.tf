# The certificates of the nodes, if not insecure. The private keys stand in Terraform's state: keep it in an encrypted backend. To use a CA
# of your own, fill the same SSM parameters by other means.
locals {
  tls_nodes      = var.insecure ? {} : var.nodes
  parameter_path = "/hacluster/${var.name}"

  # The name in a node's certificate: which node of which cluster it is.
  certificate_names = { for name, _ in local.tls_nodes : name => "${name}.${var.name}.hacluster" }

  tls_parameters = merge(
    { for name, _ in local.tls_nodes : "${name}/ca" => tls_self_signed_cert.ca[0].cert_pem },
    { for name, _ in local.tls_nodes : "${name}/cert" => tls_locally_signed_cert.node[name].cert_pem },
    { for name, _ in local.tls_nodes : "${name}/key" => tls_private_key.node[name].private_key_pem_pkcs8 },
    { for name in local.tls_found : "${name}/ca" => tls_self_signed_cert.ca[0].cert_pem },
    { for name in local.tls_found : "${name}/ca-key" => tls_private_key.ca[0].private_key_pem_pkcs8 },
  )

  # A certificate names its node, and nodes that are found by their tag are named when they start: they get the authority's key, and so each of them
  # can be any other.
  tls_found = var.insecure || var.discovery == null ? [] : ["node"]
}

resource "tls_private_key" "ca" {
  count     = var.insecure ? 0 : 1
  algorithm = "ECDSA"

  ecdsa_curve = "P256"
}

resource "tls_self_signed_cert" "ca" {
  count                 = var.insecure ? 0 : 1
  private_key_pem       = tls_private_key.ca[0].private_key_pem
  is_ca_certificate     = true
  validity_period_hours = 10 * 365 * 24
  allowed_uses          = ["cert_signing", "crl_signing"]

  subject {
    common_name = "hacluster ${var.name}"
  }
}

resource "tls_private_key" "node" {
  for_each = local.tls_nodes

  algorithm   = "ECDSA"
  ecdsa_curve = "P256"
}

resource "tls_cert_request" "node" {
  for_each = local.tls_nodes

  private_key_pem = tls_private_key.node[each.key].private_key_pem
  dns_names       = [local.certificate_names[each.key]]

  subject {
    common_name = local.certificate_names[each.key]
  }
}

resource "tls_locally_signed_cert" "node" {
  for_each = local.tls_nodes

  cert_request_pem      = tls_cert_request.node[each.key].cert_request_pem
  ca_private_key_pem    = tls_private_key.ca[0].private_key_pem
  ca_cert_pem           = tls_self_signed_cert.ca[0].cert_pem
  validity_period_hours = 365 * 24
  early_renewal_hours   = 30 * 24
  allowed_uses          = ["digital_signature", "client_auth", "server_auth"]
}

resource "aws_ssm_parameter" "tls" {
  for_each = toset(concat(
    flatten([for name, _ in local.tls_nodes : ["${name}/ca", "${name}/cert", "${name}/key"]]),
    flatten([for name in local.tls_found : ["${name}/ca", "${name}/ca-key"]]),
  ))

  name        = "${local.parameter_path}/${each.key}"
  description = "hacluster ${var.name}: fetched by the node at its first boot"
  type        = "SecureString"
  value       = local.tls_parameters[each.key]
  tags        = local.tags

  #checkov:skip=CKV_AWS_337:the AWS managed key of SSM encrypts them; who may read is decided by the roles, and a key of one's own costs $1 a month
}
