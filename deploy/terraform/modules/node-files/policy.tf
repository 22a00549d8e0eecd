# What the nodes may do. Each statement is there for a call that is made; internal/tfcheck compares them with the calls that the
# agent is seen to make.
locals {
  any_interface = replace(var.eip.arn, "/elastic-ip.*/", "network-interface/*")

  # By ARN and by tag: a recreated interface of the same tag has another ARN, and somebody's own tag has no ARN of ours. Interfaces of nodes that
  # are found by their tag are made with the instances, so the tag alone must do.
  interfaces = var.discovery == null ? [for n in values(var.nodes) : n.interface_arn if !n.witness] : [local.any_interface]

  see_statements = var.discovery == null ? [] : [{
    # Like all Describe calls: all instances or none.
    Sid      = "SeeInstances"
    Effect   = "Allow"
    Action   = ["ec2:DescribeInstances"]
    Resource = "*"
  }]

  move_statements = [
    {
      # EC2 knows no resources for Describe calls: it is all addresses or none.
      Sid      = "SeeAddresses"
      Effect   = "Allow"
      Action   = ["ec2:DescribeAddresses"]
      Resource = "*"
    },
    {
      Sid       = "MoveThisAddressBetweenTheseNodes"
      Effect    = "Allow"
      Action    = ["ec2:AssociateAddress", "ec2:DisassociateAddress"]
      Resource  = concat([var.eip.arn], local.interfaces)
      Condition = { StringEquals = { "aws:ResourceTag/hacluster" = var.cluster } }
    },
  ]

  # Which address is still the first statement's to say; EC2 wants both to be allowed.
  anywhere_statements = !var.disassociate_anywhere ? [] : [{
    Sid      = "TakeItFromAnywhere"
    Effect   = "Allow"
    Action   = ["ec2:DisassociateAddress"]
    Resource = local.any_interface
  }]

  program_statements = var.program.object_arn == null ? [] : [{
    Sid      = "FetchTheProgram"
    Effect   = "Allow"
    Action   = ["s3:GetObject"]
    Resource = var.program.object_arn
  }]

  log_statements = var.log_group == null ? [] : [{
    Sid      = "WriteLogs"
    Effect   = "Allow"
    Action   = ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"]
    Resource = "${var.log_group.arn}:*"
  }]

  # AmazonSSMManagedInstanceCore would do, but it allows ssm:GetParameter on everything: each node could read every key.
  shell_statements = !var.shell_access ? [] : [{
    Sid    = "BeReachedBySessionManager"
    Effect = "Allow"
    Action = [
      "ssm:UpdateInstanceInformation", "ssmmessages:CreateControlChannel", "ssmmessages:CreateDataChannel",
      "ssmmessages:OpenControlChannel", "ssmmessages:OpenDataChannel",
    ]
    Resource = "*"
  }]

  policies = { for name, n in local.members : name => jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [for s in concat(local.move_statements, local.anywhere_statements) : s if !n.witness],
      local.see_statements,
      local.program_statements,
      var.tls_parameters == null ? [] : [{
        Sid      = "FetchItsOwnKeys"
        Effect   = "Allow"
        Action   = ["ssm:GetParameter"]
        Resource = "${var.tls_parameters.arn}/${name}/*"
      }],
      local.log_statements,
      local.shell_statements,
    )
  }) }
}
