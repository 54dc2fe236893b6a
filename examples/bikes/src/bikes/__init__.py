"""Hourly demand of a bike-sharing scheme: how many bikes, and is it a busy hour?"""
