locals {
  zones = slice(sort(data.aws_availability_zones.all.names), 0, 3)

  # Node i is in zone i modulo 3. The first is preferred; the witness comes last.
  layouts = {
    "3"         = ["lb-1", "lb-2", "lb-3"]
    "5"         = ["lb-1", "lb-2", "lb-3", "lb-4", "lb-5"]
    "2+witness" = ["lb-1", "lb-2", "witness"]
  }

  nodes = { for i, name in local.layouts[var.layout] : name => {
    subnet_id         = aws_route_table_association.node[i % 3].subnet_id # so that its routes are there first
    availability_zone = local.zones[i % 3]
    address           = cidrhost(local.node_cidrs[i % 3], 11 + i)
    priority          = 103 - i
    witness           = name == "witness"
    instance_type     = name == "witness" ? (var.architecture == "arm64" ? "t4g.nano" : "t3.nano") : null
  } }

  haproxy_config = templatefile("${path.module}/templates/haproxy.cfg.tftpl", {
    servers = local.web_addresses
  })
}

data "aws_availability_zones" "all" {
  state = "available"

  #checkov:skip=CKV_AWS_394:the first three by name are taken, and a new zone gets a letter behind the others
  filter {
    name   = "opt-in-status"
    values = ["opt-in-not-required"]
  }
}

module "hacluster" {
  source = "../../modules/hacluster"

  name               = var.name
  vpc_id             = aws_vpc.lab.id
  nodes              = var.discovery ? {} : local.nodes
  discovery          = var.discovery ? { subnet_ids = [for n in values(local.nodes) : n.subnet_id] } : null
  architecture       = var.architecture
  program_file       = var.program_file
  package_url        = var.package_url
  package_sha256     = var.package_sha256
  insecure           = var.insecure
  auto_scaling       = var.auto_scaling
  shell_access       = var.shell_access
  log_retention_days = var.log_retention_days
  settings           = var.settings
  haproxy_config     = local.haproxy_config

  # The lab's certificate is made on the node: a private key has no place in user data.
  prepare = [
    "test -s /etc/haproxy/lab.pem || openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 365 -subj /CN=hacluster-lab -keyout /etc/haproxy/lab.key -out /etc/haproxy/lab.crt",
    "test -s /etc/haproxy/lab.pem || install -m 0600 /dev/null /etc/haproxy/lab.pem",
    "cat /etc/haproxy/lab.crt /etc/haproxy/lab.key >/etc/haproxy/lab.pem",
  ]

  egress = {
    "AWS APIs, by the interface endpoints"                   = { port = 443, security_group_id = aws_security_group.endpoints.id }
    "S3, by the gateway endpoint"                            = { port = 443, prefix_list_id = aws_vpc_endpoint.s3.prefix_list_id }
    "Web servers"                                            = { port = local.web_port, security_group_id = aws_security_group.web.id }
    "Package mirrors over IPv6, HTTPS"                       = { port = 443, cidr_ipv6 = "::/0" }
    "Package mirrors over IPv6, HTTP as some images have it" = { port = 80, cidr_ipv6 = "::/0" }
  }
}
