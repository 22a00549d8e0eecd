output "public_ip" {
  description = "The Elastic IP: where clients connect to."
  value       = aws_eip.this.public_ip
}

output "allocation_id" {
  description = "The allocation id of the Elastic IP."
  value       = aws_eip.this.allocation_id
}

output "nodes" {
  description = "Each node: its private address, its network interface, whether it is a witness, and, without Auto Scaling groups, its instance. With discovery there are none that Terraform knows."
  value = { for name, n in var.nodes : name => {
    address           = n.address
    interface_id      = aws_network_interface.node[name].id
    subnet_id         = n.subnet_id
    availability_zone = n.availability_zone
    witness           = n.witness
    instance_id       = var.auto_scaling ? null : aws_instance.node[name].id
  } }
}

output "security_group_id" {
  description = "The security group of the nodes: let it into the web servers and the endpoints."
  value       = aws_security_group.cluster.id
}

output "policies" {
  description = "The IAM policy of each node's role, as JSON."
  value       = module.node_files.policies
}

output "log_group" {
  description = "The CloudWatch log group, or null."
  value       = one(aws_cloudwatch_log_group.this[*].name)
}
