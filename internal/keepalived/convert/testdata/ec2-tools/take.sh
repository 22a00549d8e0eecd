#!/bin/ksh
export EC2_HOME=/opt/ec2 JAVA_HOME=/usr/lib/jvm/default
ec2-disassociate-address -O AKIAIOSFODNN7EXAMPLE -W wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY 198.51.100.23
ec2-associate-address -O AKIAIOSFODNN7EXAMPLE -W wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY --region sa-east-1 -i i-0ff1ce00 198.51.100.23
