"""shifts"""
