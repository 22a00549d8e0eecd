data "aws_region" "this" {}

data "aws_partition" "this" {}

data "aws_caller_identity" "this" {}

data "aws_ami" "debian" {
  count       = var.ami_id == null ? 1 : 0
  most_recent = true
  owners      = ["136693071363"] # Debian, https://wiki.debian.org/Cloud/AmazonEC2Image

  filter {
    name   = "name"
    values = ["debian-12-${var.architecture}-*"]
  }
  filter {
    name   = "virtualization-type"
    values = ["hvm"]
  }
}

locals {
  region    = data.aws_region.this.region
  partition = data.aws_partition.this.partition
  account   = data.aws_caller_identity.this.account_id

  tags = merge(var.tags, { hacluster = var.name })

  ami_id        = var.ami_id == null ? data.aws_ami.debian[0].id : var.ami_id
  instance_type = coalesce(var.instance_type, var.architecture == "arm64" ? "t4g.micro" : "t3.micro")

  package_url = var.package_url == null ? "" : var.package_url
}

# The address is allocated here and associated by the nodes, never by Terraform: a plan must not take it from whom the cluster
# gave it to.
resource "aws_eip" "this" {
  domain = "vpc"
  tags   = merge(local.tags, { Name = var.name })

  #checkov:skip=CKV2_AWS_19:the nodes attach it

  lifecycle {
    ignore_changes = [instance, network_interface, associate_with_private_ip]
  }
}

module "node_files" {
  source = "../node-files"

  cluster      = var.name
  region       = local.region
  architecture = var.architecture
  eip          = { allocation_id = aws_eip.this.allocation_id, arn = aws_eip.this.arn }
  discovery    = var.discovery == null ? null : { expect = length(var.discovery.subnet_ids) }
  nodes = { for name, n in var.nodes : name => {
    address       = n.address
    priority      = n.priority
    witness       = n.witness
    interface_arn = aws_network_interface.node[name].arn
  } }
  settings       = var.settings
  haproxy_config = var.haproxy_config
  prepare        = var.prepare
  program = var.program_file == null ? {
    kind       = "package"
    url        = local.package_url
    sha256     = var.package_sha256
    object_arn = startswith(local.package_url, "s3://") ? "arn:${local.partition}:s3:::${trimprefix(local.package_url, "s3://")}" : null
    } : {
    kind       = "binary"
    url        = "s3://${aws_s3_object.program[0].bucket}/${aws_s3_object.program[0].key}"
    sha256     = filesha256(var.program_file)
    object_arn = aws_s3_object.program[0].arn
  }
  tls_parameters = var.insecure ? null : {
    path = local.parameter_path
    arn  = "arn:${local.partition}:ssm:${local.region}:${local.account}:parameter${local.parameter_path}"
  }
  log_group    = var.log_retention_days == null ? null : { name = aws_cloudwatch_log_group.this[0].name, arn = aws_cloudwatch_log_group.this[0].arn }
  shell_access = var.shell_access

  disassociate_anywhere = var.disassociate_anywhere
}
