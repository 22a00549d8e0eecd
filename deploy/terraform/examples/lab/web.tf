# Five small web servers for HAProxy to balance. They reach nothing and nobody reaches them but the nodes: everything that they need
# is on Debian's image.
locals {
  web_port      = 8080
  web_addresses = { for i in range(5) : "web-${i + 1}" => cidrhost(local.web_cidrs[i % 3], 21 + i) }
}

data "aws_ami" "debian" {
  most_recent = true
  owners      = ["136693071363"] # Debian, https://wiki.debian.org/Cloud/AmazonEC2Image

  filter {
    name   = "name"
    values = ["debian-12-${var.architecture}-*"]
  }
}

resource "aws_subnet" "web" {
  count = 3

  vpc_id            = aws_vpc.lab.id
  availability_zone = local.zones[count.index]
  cidr_block        = local.web_cidrs[count.index]
  tags              = { Name = "hacluster-${var.name}-web-${local.zones[count.index]}" }
}

resource "aws_security_group" "web" {
  name        = "hacluster-${var.name}-web"
  description = "hacluster lab ${var.name}: the web servers"
  vpc_id      = aws_vpc.lab.id
  tags        = { Name = "hacluster-${var.name}-web" }
}

resource "aws_vpc_security_group_ingress_rule" "web" {
  security_group_id            = aws_security_group.web.id
  description                  = "HAProxy on the nodes"
  ip_protocol                  = "tcp"
  from_port                    = local.web_port
  to_port                      = local.web_port
  referenced_security_group_id = module.hacluster.security_group_id
}

resource "aws_instance" "web" {
  for_each = local.web_addresses

  ami                         = data.aws_ami.debian.id
  instance_type               = var.architecture == "arm64" ? "t4g.nano" : "t3.nano"
  subnet_id                   = aws_subnet.web[index(keys(local.web_addresses), each.key) % 3].id
  private_ip                  = each.value
  associate_public_ip_address = false
  vpc_security_group_ids      = [aws_security_group.web.id]
  ebs_optimized               = true
  user_data_replace_on_change = true
  user_data                   = templatefile("${path.module}/templates/web.yaml.tftpl", { name = each.key, port = local.web_port })
  tags                        = { Name = "hacluster-${var.name}-${each.key}" }

  #checkov:skip=CKV_AWS_126:detailed monitoring of a lab's web server is not worth its price
  #checkov:skip=CKV2_AWS_41:it calls no AWS API, so it needs no role

  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }

  root_block_device {
    encrypted   = true
    volume_type = "gp3"
    volume_size = 8
  }

  lifecycle {
    ignore_changes = [ami]
  }
}
