output "user_data" {
  description = "Each node's cloud-init user data; with discovery, that of all of them under 'node'. So with the others."
  value       = local.user_data
}

output "policies" {
  description = "The IAM policy of each node's role, as JSON."
  value       = local.policies
}

output "configs" {
  description = "Each node's /etc/hacluster/hacluster.yaml, as it stands in user_data."
  value       = local.configs
}

output "bootstraps" {
  description = "Each node's bootstrap script, as it stands in user_data."
  value       = local.bootstraps
}
