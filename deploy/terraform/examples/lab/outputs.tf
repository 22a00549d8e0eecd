output "public_ip" {
  description = "The Elastic IP."
  value       = module.hacluster.public_ip
}

output "allocation_id" {
  description = "The allocation id of the Elastic IP."
  value       = module.hacluster.allocation_id
}

output "nodes" {
  description = "Each node's private address, network interface, subnet and zone, and its instance if it is no Auto Scaling group's."
  value       = module.hacluster.nodes
}

output "region" {
  description = "The region, for the test."
  value       = var.region
}

output "try" {
  description = "Commands to try."
  value = {
    serve = "curl http://${module.hacluster.public_ip}/"
    where = "aws ec2 describe-addresses --region ${var.region} --allocation-ids ${module.hacluster.allocation_id}"
    found = "aws ec2 describe-instances --region ${var.region} --filters Name=tag:hacluster,Values=${var.name} Name=instance-state-name,Values=running --query 'Reservations[].Instances[].InstanceId'"
    shell = [for name, n in module.hacluster.nodes : "aws ssm start-session --region ${var.region} --target ${n.instance_id}  # ${name}" if var.shell_access && n.instance_id != null]
    test  = "make aws-lab-test"
    end   = "make aws-lab-down"
  }
}
