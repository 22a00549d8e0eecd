# Calls modules/node-files with what terraform.tfvars.json says, and the lab's HAProxy configuration.
variable "cluster" { type = string }
variable "region" { type = string }
variable "architecture" { type = string }
variable "eip" { type = any }
variable "nodes" { type = any }
variable "discovery" { type = any }
variable "servers" { type = map(string) }
variable "program" { type = any }
variable "settings" {
  type    = any
  default = {}
}
variable "prepare" {
  type    = list(string)
  default = []
}
variable "tls_parameters" { type = any }
variable "log_group" { type = any }
variable "shell_access" { type = bool }
variable "disassociate_anywhere" { type = bool }

module "node_files" {
  source = "./terraform/modules/node-files"

  cluster               = var.cluster
  region                = var.region
  architecture          = var.architecture
  eip                   = var.eip
  nodes                 = var.nodes
  discovery             = var.discovery
  settings              = var.settings
  haproxy_config        = templatefile("terraform/examples/lab/templates/haproxy.cfg.tftpl", { servers = var.servers })
  prepare               = var.prepare
  program               = var.program
  tls_parameters        = var.tls_parameters
  log_group             = var.log_group
  shell_access          = var.shell_access
  disassociate_anywhere = var.disassociate_anywhere
}

output "rendered" { value = module.node_files }
