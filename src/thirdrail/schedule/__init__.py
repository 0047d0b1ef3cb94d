"""What is planned: for now the subway's stations and routes, shipped as small tables."""
